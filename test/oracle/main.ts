/**
 * `npm run oracle -- [--cases=1000] [--seed=0] [--only=suggestion|front|importance]`: asks every Optuna that
 * PARZEN_PEER_PYTHONS names (else that of `python3`) the same random questions as Parzen, and prints per feature how many
 * answers agree and the largest relative deviation. Exit code 1 when one differs; the first few are printed in full.
 */
import { parseArgs } from 'node:util';
import { compareFront, compareImportance, compareSuggestion, tolerance, type Comparison } from './compare.js';
import { Oracle, peerPythons } from './oracle.js';

/** Differences printed in full. */
const shownMax = 5;

interface Tally {
  asked: number;
  answered: number;
  different: number;
  deviation: number;
}

function add(tallies: Map<string, Tally>, name: string, { answered, deviation }: Comparison): void {
  const tally = tallies.get(name) ?? { asked: 0, answered: 0, different: 0, deviation: 0 };
  tally.asked += 1;
  if (answered) {
    tally.answered += 1;
    if (deviation > tolerance) tally.different += 1;
    else tally.deviation = Math.max(tally.deviation, deviation);
  }
  tallies.set(name, tally);
}

const comparisons = {
  suggestion: compareSuggestion,
  front: compareFront,
  importance: compareImportance,
} as const;

async function compareAll(
  oracle: Oracle,
  kind: keyof typeof comparisons,
  { seed, cases }: { readonly seed: number; readonly cases: number },
): Promise<number> {
  const tallies = new Map<string, Tally>();
  const refusals = new Map<string, number>();
  let shown = 0;
  for (let i = seed; i < seed + cases; i++) {
    const comparison = await comparisons[kind](oracle, i);
    for (const feature of ['all', ...comparison.features]) add(tallies, feature, comparison);
    if (!comparison.answered && comparison.note !== null)
      refusals.set(comparison.note, (refusals.get(comparison.note) ?? 0) + 1);
    if (comparison.answered && comparison.note !== null && shown++ < shownMax)
      console.log(`${kind} ${i} (${comparison.features.join(', ')}):\n${comparison.note}\n`);
  }
  console.log(`${kind}, Optuna ${oracle.version}`);
  console.log(
    `  ${'feature'.padEnd(28)}${'asked'.padStart(7)}${'answered'.padStart(10)}${'differ'.padStart(8)}  largest deviation of the others`,
  );
  for (const [name, { asked, answered, different, deviation }] of [...tallies].sort(([a], [b]) =>
    a < b ? -1 : 1,
  ))
    console.log(
      `  ${name.padEnd(28)}${String(asked).padStart(7)}${String(answered).padStart(10)}${String(different).padStart(8)}  ${deviation.toExponential(1)}`,
    );
  for (const [reason, count] of refusals) console.log(`  ${count} not answered: ${reason}`);
  return tallies.get('all')?.different ?? 0;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      cases: { type: 'string', default: '1000' },
      seed: { type: 'string', default: '0' },
      only: { type: 'string' },
    },
  });
  let different = 0;
  let found = false;
  for (const python of peerPythons()) {
    const oracle = await Oracle.start(python);
    if (oracle === null) {
      console.log(`${python}: no Optuna there`);
      continue;
    }
    found = true;
    for (const kind of ['suggestion', 'front', 'importance'] as const)
      if (values.only === undefined || values.only === kind)
        different += await compareAll(oracle, kind, {
          seed: Number(values.seed),
          cases: Number(values.cases),
        });
    oracle.close();
  }
  if (!found)
    console.log('nothing compared: name Pythons with Optuna in PARZEN_PEER_PYTHONS, separated by colons');
  process.exitCode = different > 0 ? 1 : 0;
}

await main();
