/**
 * `npm run compare-profiles -- --data=FILE`: what each defect of the original evaluation is worth (hermite-model.md §19). The
 * same candles and the same parameters, judged by the defaults, by the defaults with one switch at a time as the original had
 * it, and by the whole profile v6; with `--from=v6` also by v6 with one switch at a time as it should be. Each line is a trial,
 * trained anew: a minute or so each with the parameters of the package's study.
 *
 * Options: --data=FILE (Binance kline CSV, plain or .gz) --study=v6-stage1 (evaluation, objective, fixed and enqueued
 * parameters) --params=JSON (over those of the first enqueued trial) --bars=N (newest, instead of the study's) --from=defaults
 * --seed=1 --runtime=auto --switches=gate,auc (only these).
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readStudyFile } from '../coordinator/cli/parse-study.js';
import { keepNewest } from '../coordinator/market-data/dataset.js';
import { importKlines } from '../coordinator/market-data/import-klines.js';
import { encodeCandles } from '../shared/core/market/candle-codec.js';
import type { Params } from '../shared/core/space/parameter.js';
import type { StudyDefinition } from '../shared/core/study/definition.js';
import { objectiveValues } from '../shared/core/study/objective.js';
import type { Metrics } from '../shared/core/study/trial.js';
import { profileSwitches, switched } from '../shared/core/trainers/profile-switches.js';
import { createHermiteTrainer } from '../worker/trainers/hermite/run-trial.js';
import { TrialFailed, type Trainer, type TrialJob } from '../worker/trainers/port.js';
import { chooseRuntime } from '../worker/trainers/runtime/choose-runtime.js';

const known = ['data', 'study', 'params', 'bars', 'from', 'seed', 'runtime', 'switches'] as const;
type Option = (typeof known)[number];

function readOptions(): ReadonlyMap<Option, string> {
  const given = new Map<Option, string>();
  for (const argument of process.argv.slice(2)) {
    const [, text = '', value = ''] = /^--([a-z-]+)=(.*)$/s.exec(argument) ?? [];
    const name = known.find((option) => option === text);
    if (name === undefined)
      throw new Error(
        `unknown option ${argument}; the options stand at the top of bench/compare-profiles.ts`,
      );
    given.set(name, value);
  }
  if (!given.has('data')) throw new Error('--data=FILE is missing: a Binance kline CSV, plain or .gz');
  if (!['defaults', 'v6'].includes(given.get('from') ?? 'defaults'))
    throw new Error(`--from=${given.get('from') ?? ''}: one of defaults, v6`);
  return given;
}

type Evaluation = TrialJob['evaluation'];

interface Comparison {
  readonly trainer: Trainer;
  readonly definition: StudyDefinition;
  readonly params: Params;
  readonly dataPath: string;
  readonly seed: number;
}

/** The trial's metrics, or why there are none. */
async function judged(comparison: Comparison, evaluation: Evaluation): Promise<Metrics | string> {
  const { trainer, params, dataPath, seed } = comparison;
  const job = { study: 'compare', number: 0, attempt: 1, params, seed, dataPath, evaluation };
  try {
    return (await trainer.run(job, () => Promise.resolve(false))).metrics;
  } catch (error) {
    if (error instanceof TrialFailed) return `${error.reason}: ${error.message}`;
    throw error;
  }
}

const figure = (value: number | undefined, width: number, digits = 4): string =>
  (value === undefined || Number.isNaN(value) ? '-' : value.toFixed(digits)).padStart(width);

function scoreOf({ objectives }: StudyDefinition, metrics: Metrics): number {
  const result = objectiveValues(objectives, metrics);
  return result.kind === 'values' ? (result.values[0] ?? NaN) : NaN;
}

const header = `${'evaluation'.padEnd(46)}   score  change      AUC      ±   DirAcc      ±   Sharpe      ±  trades   rows`;

/** Prints one line; returns its score. */
function show(
  comparison: Comparison,
  label: string,
  metrics: Metrics | string,
  base: number | null,
): number | null {
  if (typeof metrics === 'string') {
    console.log(`${label.padEnd(46)}   ${metrics}`);
    return null;
  }
  const score = scoreOf(comparison.definition, metrics);
  const change = base === null ? NaN : score - base;
  const pair = (name: string, digits = 4): string =>
    figure(metrics[name], 9, digits) + figure(metrics[`${name}_se`], 7, digits);
  console.log(
    label.padEnd(46) +
      figure(score, 8) +
      figure(change, 8) +
      pair('auc') +
      pair('dir_acc') +
      pair('sharpe', 2) +
      figure(metrics['trades'], 8, 0) +
      figure(metrics['test_rows'], 7, 0),
  );
  return score;
}

async function compare(comparison: Comparison, options: ReadonlyMap<Option, string>): Promise<void> {
  const wanted = options.get('switches')?.split(',') ?? null;
  const switches = profileSwitches.filter(({ name }) => wanted?.includes(name) ?? true);
  const { evaluation } = comparison.definition;
  console.log(header);
  const honest = show(comparison, 'defaults', await judged(comparison, evaluation), null);
  for (const { name, v6 } of switches) {
    const metrics = await judged(comparison, switched(evaluation, name, v6));
    show(comparison, `  with ${name}: ${String(v6)}`, metrics, honest);
  }
  const original: Evaluation = { profile: 'v6' };
  const v6 = show(comparison, 'v6', await judged(comparison, original), honest);
  if (options.get('from') !== 'v6') return;
  console.log('changes below are against v6');
  for (const { name, standard } of switches) {
    const metrics = await judged(comparison, switched(original, name, standard));
    show(comparison, `  with ${name}: ${String(standard)}`, metrics, v6);
  }
}

async function main(): Promise<void> {
  const options = readOptions();
  const { definition } = await readStudyFile(options.get('study') ?? 'v6-stage1');
  const { candles } = await importKlines(options.get('data') ?? '');
  const ofStudy = definition.data.kind === 'dataset' ? definition.data.bars : null;
  const bars = options.has('bars') ? Number(options.get('bars')) : ofStudy;
  const params = {
    ...definition.fixed,
    ...definition.enqueue[0],
    ...(JSON.parse(options.get('params') ?? '{}') as Params),
  };
  const { runtime, reason } = await chooseRuntime(options.get('runtime') ?? 'auto');
  const folder = mkdtempSync(path.join(tmpdir(), 'parzen-compare-'));
  try {
    const dataPath = path.join(folder, 'candles');
    writeFileSync(dataPath, encodeCandles(keepNewest(candles, bars)));
    const trainer = createHermiteTrainer({ runtime, stopRequested: () => false });
    console.log(`study ${definition.name}, ${bars ?? 'all'} bars, runtime ${runtime.name} (${reason})`);
    console.log(`parameters ${JSON.stringify(params)}`);
    await compare({ trainer, definition, params, dataPath, seed: Number(options.get('seed') ?? 1) }, options);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

await main();
