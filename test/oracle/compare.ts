/** Compares Parzen's answers with Optuna's: choices and integers exactly, floats to 1e-9 of the larger one. */
import { pedAnova } from '../../coordinator/analysis/ped-anova.js';
import { completedOf, parseCases, parseHistory } from '../../coordinator/cli/history-input.js';
import { parseSuggestInput } from '../../coordinator/cli/suggest-input.js';
import { runSuggest } from '../../coordinator/cli/suggest.js';
import { hypervolume } from '../../shared/core/metrics/hypervolume.js';
import { referencePoint, selectByHypervolume } from '../../shared/core/metrics/hypervolume-subset.js';
import { nonDominationRanks } from '../../shared/core/metrics/pareto.js';
import { Chance } from '../../shared/core/sampler/random-study.test-helper.js';
import type { TpeRules } from '../../shared/core/sampler/sampler.js';
import type { Params } from '../../shared/core/space/parameter.js';
import type { SuggestRequest } from '../../shared/core/sampler/sampler.js';
import type { SplitHistory } from '../../shared/core/sampler/tpe/model.js';
import { isNearTie } from './near-ties.js';
import type { Oracle } from './oracle.js';
import { randomInput, type SuggestJson } from './random-input.js';
import { isGreedyChoice, partialFront, splitWith } from './volume-ties.js';

export const tolerance = 1e-9;

export interface Comparison {
  /** What the question had in it. */
  readonly features: readonly string[];
  /** Largest relative deviation; Infinity where a choice, an integer or the whole answer differs. */
  readonly deviation: number;
  /** Both answers where they differ, or why Optuna gave none. */
  readonly note: string | null;
  readonly answered: boolean;
}

/** Relative deviation of two values; 0 or Infinity for anything but numbers. */
function deviationOf(ours: unknown, theirs: unknown, exact: boolean): number {
  if (ours === theirs) return 0;
  if (exact || typeof ours !== 'number' || typeof theirs !== 'number') return Infinity;
  return Math.abs(ours - theirs) / Math.max(Math.abs(ours), Math.abs(theirs));
}

export const rulesOf = (oracle: Oracle): TpeRules =>
  oracle.version.startsWith('4') ? 'optuna-4' : 'optuna-5';

function deviationOfParams(
  { space }: SuggestJson,
  ours: Readonly<Record<string, unknown>>,
  theirs: Readonly<Record<string, unknown>>,
): number {
  const deviations = space.map(({ name, choices, int }) =>
    deviationOf(ours[name], theirs[name], choices !== undefined || int === true),
  );
  return Math.max(0, ...deviations);
}

const unanswered = (features: readonly string[], error: unknown): Comparison => ({
  features,
  deviation: 0,
  // Shapes in an error text would make every one another.
  note: String(error).replace(/\d+/g, 'n'),
  answered: false,
});

interface Suggestion {
  readonly seed: number;
  readonly params: Params;
}

/** The split that follows from Optuna's choice out of the front that is cut; null where that is no tie with ours. */
async function tiedSplit(oracle: Oracle, request: SuggestRequest): Promise<SplitHistory | null> {
  const { settings } = request;
  const front = settings.type === 'tpe' ? partialFront(request, settings) : null;
  if (front === null || settings.type !== 'tpe') return null;
  const { points, places: count } = front;
  const answer = await oracle.ask({ subset: { points, reference: referencePoint(points), count } });
  const picks = answer['subset'] as readonly number[] | undefined;
  return picks !== undefined && isGreedyChoice(points, picks)
    ? splitWith(request, settings, { front, picks })
    : null;
}

/** What decided between equally good answers where Optuna gave another one; null where its answer is not as good. */
async function tieOf(
  oracle: Oracle,
  request: SuggestRequest,
  { seed, theirs }: { readonly seed: number; readonly theirs: Params },
): Promise<'score ties' | 'volume ties' | null> {
  if (isNearTie(request, theirs, { seed })) return 'score ties';
  const split = await tiedSplit(oracle, request);
  return split !== null && isNearTie(request, theirs, { seed, split }) ? 'volume ties' : null;
}

/** One random input, as text through the code of `coordinator suggest`. */
export async function compareSuggestion(oracle: Oracle, seed: number): Promise<Comparison> {
  const { input, features } = randomInput(seed, rulesOf(oracle));
  const answer = await oracle.ask({ suggest: input });
  if ('error' in answer) return unanswered(features, answer['error']);
  const theirs = answer['suggestions'] as readonly Suggestion[];
  const ours = runSuggest(JSON.stringify(input))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Suggestion);
  const [parsed] = parseSuggestInput(JSON.stringify(input));
  const ties = new Set<string>();
  let deviation = 0;
  for (const [i, { params, seed: start }] of ours.entries()) {
    const other = theirs[i]?.params ?? {};
    const found = deviationOfParams(input, params, other);
    if (found <= tolerance || parsed === undefined) {
      deviation = Math.max(deviation, found);
      continue;
    }
    const tie = await tieOf(oracle, parsed.request, { seed: start, theirs: other });
    if (tie === null) deviation = Math.max(deviation, found);
    else ties.add(tie);
  }
  const note =
    deviation > tolerance ? `Parzen ${JSON.stringify(ours)}\nOptuna ${JSON.stringify(theirs)}` : null;
  return { features: [...features, ...ties], deviation, note, answered: true };
}

/** Random points of two to five objectives, on a coarse lattice or not, with an infinity now and then. */
function randomPoints(chance: Chance): { points: number[][]; features: string[] } {
  const objectives = chance.of([2, 2, 3, 3, 4, 5]);
  const coarse = chance.is(0.4);
  const points = Array.from({ length: 1 + chance.below(objectives > 3 ? 14 : 40) }, () =>
    Array.from({ length: objectives }, () =>
      coarse ? chance.below(5) - 2 : (chance.rng.nextDouble() - 0.3) * 10 ** chance.below(3),
    ),
  );
  return { points, features: [`objectives ${objectives}`, coarse ? 'equal values' : 'distinct values'] };
}

/** One front: its volume, its ranks and the greedy choice out of it. */
export async function compareFront(oracle: Oracle, seed: number): Promise<Comparison> {
  const chance = new Chance(seed);
  const { points, features } = randomPoints(chance);
  const reference = referencePoint(points);
  const count = 1 + chance.below(points.length);
  const enough = 1 + chance.below(points.length);
  const first = nonDominationRanks(points);
  const front = points.filter((_, i) => first[i] === 0);
  const frontCount = Math.min(count, front.length);
  const frontReference = referencePoint(front);
  const answers = {
    ...(await oracle.ask({ hypervolume: { points, reference } })),
    ...(await oracle.ask({ ranks: { points, enough } })),
    ...(await oracle.ask({ subset: { points: front, reference: frontReference, count: frontCount } })),
  };
  if ('error' in answers) return unanswered(features, answers['error']);
  const volume = hypervolume(points, reference);
  const ranks = [...nonDominationRanks(points, enough)];
  const subset = selectByHypervolume(front, frontCount);
  const same = (a: unknown, b: unknown): number => (JSON.stringify(a) === JSON.stringify(b) ? 0 : Infinity);
  const sorted = (list: readonly number[]): number[] => list.toSorted((a, b) => a - b);
  const theirs = answers['subset'] as number[];
  const subsets = same(sorted(subset), sorted(theirs));
  const tied = subsets > 0 && isGreedyChoice(front, theirs);
  const deviation = Math.max(
    deviationOf(volume, answers['hypervolume'], false),
    same(ranks, answers['ranks']),
    tied ? 0 : subsets,
  );
  const ours = { hypervolume: volume, ranks, subset };
  const note =
    deviation > tolerance
      ? `points ${JSON.stringify(points)} count ${frontCount}\nParzen ${JSON.stringify(ours)}\nOptuna ${JSON.stringify(answers)}`
      : null;
  return { features: tied ? [...features, 'volume ties'] : features, deviation, note, answered: true };
}

/** The COMPLETE trials of a random input by PED-ANOVA. */
export async function compareImportance(oracle: Oracle, seed: number): Promise<Comparison> {
  const { input, features } = randomInput(seed, rulesOf(oracle));
  // Optuna 4 leaves out what not every trial has in the same way, and counts the best of few trials differently.
  if (rulesOf(oracle) === 'optuna-4') return unanswered(features, 'Parzen follows Optuna 5 here');
  const answer = await oracle.ask({ importance: input });
  if ('error' in answer) return unanswered(features, answer['error']);
  const [only] = parseCases(JSON.stringify(input));
  const history = parseHistory(only?.given ?? {}, '');
  const ours = Object.fromEntries(pedAnova({ ...history, trials: completedOf(history) }));
  const theirs = answer['importance'] as Readonly<Record<string, number>>;
  const names = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])];
  // Shares of a whole: what is next to nothing is compared with the whole.
  const deviation = Math.max(
    0,
    ...names.map((name) => {
      const [a, b] = [ours[name] ?? NaN, theirs[name] ?? NaN];
      return Math.abs(a - b) <= tolerance * tolerance ? 0 : deviationOf(a, b, false);
    }),
  );
  const note =
    deviation <= tolerance ? null : `Parzen ${JSON.stringify(ours)}\nOptuna ${JSON.stringify(theirs)}`;
  return { features, deviation: Number.isNaN(deviation) ? Infinity : deviation, note, answered: true };
}
