/** The summary of a study for the terminal: what was done, what was best, and what luck alone would have given. */
import type { Objective } from '../../shared/core/study/definition.js';
import { bestTrials } from '../../shared/core/study/ranking.js';
import type { Trial, TrialReason } from '../../shared/core/study/trial.js';
import { hasOwnValue, trialReasons, trialStates } from '../../shared/core/study/trial.js';
import { deflatedSharpeOf } from './deflated-sharpe.js';
import { luckOf } from './luck.js';
import { noSkillOf } from './no-skill.js';
import type { ResultsStudy } from './results-study.js';
import { objectiveError } from './standard-error.js';

/** Metrics shown first, under the names that people know; `<metric>_se` is taken as their standard error. */
const headlineMetrics = [
  ['auc', 'AUC'],
  ['dir_acc', 'DirAcc'],
  ['sharpe', 'Sharpe'],
] as const;

/** Members of a Pareto front shown before the rest is only counted. */
const frontShownMax = 10;

/** Several lines without a line end at the end. `trials` are all trials of the study. */
export function summaryText(study: ResultsStudy, trials: readonly Trial[]): string {
  const { definition, trialsMax } = study;
  const best = bestTrials(
    definition.objectives.map(({ direction }) => direction),
    trials.filter(({ state }) => state === 'COMPLETE'),
  );
  const finished = trials.filter(({ state }) => state !== 'WAITING' && state !== 'RUNNING').length;
  const rows: [string, string][] = [
    [
      'trials',
      `${finished} of ${trialsMax} finished: ${countText(trialStates, trials, ({ state }) => state)}`,
    ],
    ['reasons', countText(trialReasons, trials, ({ reason }) => reason)],
    ['out of memory', outOfMemoryText(study, trials)],
    ...bestRows(definition.objectives, best),
    ...definition.objectives.map((objective, index): [string, string] => [
      definition.objectives.length > 1 ? `luck, ${objective.name}` : 'luck',
      luckText(objective, index, trials),
    ]),
    ...definition.objectives.flatMap((objective, index): [string, string][] => {
      const text = noSkillText(objective, index, trials);
      return text === null ? [] : [['no skill', text]];
    }),
    ...sharpeRows(best, trials),
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  const lines = rows.map(([label, text]) => `  ${label.padEnd(width)}  ${text}`);
  return [`Summary of study ${definition.name}`, ...lines].join('\n');
}

/** `3 COMPLETE, 1 FAIL`: how many trials have each key, in the order of `keys`, without zeros. */
function countText<K extends string>(
  keys: readonly K[],
  trials: readonly Trial[],
  keyOf: (trial: Trial) => K | null,
): string {
  const counts = new Map<K, number>();
  for (const trial of trials) {
    const key = keyOf(trial);
    if (key !== null) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const parts = keys.flatMap((key) => (counts.has(key) ? [`${counts.get(key) ?? 0} ${key}`] : []));
  return parts.length === 0 ? 'none' : parts.join(', ');
}

function outOfMemoryText({ oomAttempts }: ResultsStudy, trials: readonly Trial[]): string {
  const oom: TrialReason = 'oom';
  const ended = trials.filter(({ reason }) => reason === oom).length;
  return `${oomAttempts} attempts, ${ended} trials left without a result by it`;
}

function bestRows(objectives: readonly Objective[], best: readonly Trial[]): [string, string][] {
  if (best.length === 0) return [['best', 'none: no trial is COMPLETE']];
  const label = objectives.length > 1 ? 'Pareto front' : 'best';
  const rows = best
    .slice(0, frontShownMax)
    .map((trial, index): [string, string] => [index === 0 ? label : '', trialText(objectives, trial)]);
  const more = best.length - frontShownMax;
  return more > 0 ? [...rows, ['', `… and ${more} more`]] : rows;
}

function trialText(objectives: readonly Objective[], trial: Trial): string {
  const values = objectives.map((objective, index) => {
    const error = objectiveError(objective, trial.metrics);
    const margin = error === null ? '' : ` ± ${error.atMost ? 'at most ' : ''}${figure(error.value)}`;
    return `${objective.name} ${figure(trial.values[index] ?? Number.NaN)}${margin}`;
  });
  const metrics = headlineMetrics.flatMap(([key, name]) => {
    const value = metricOf(trial, key);
    if (value === null) return [];
    const standardError = metricOf(trial, `${key}_se`);
    const error =
      standardError === null ? '' : ` ± ${Number.isNaN(standardError) ? 'unknown' : figure(standardError)}`;
    const traded = key === 'sharpe' && metricOf(trial, 'no_trades') === 1 ? ' (no trades)' : error;
    return [`${name} ${figure(value)}${traded}`];
  });
  const offGrid = trial.offGrid ? ' (off the grid)' : '';
  return `trial ${trial.number}${offGrid}: ${[...values, ...metrics].join(', ')}`;
}

const metricOf = ({ metrics }: Trial, name: string): number | null =>
  Object.hasOwn(metrics, name) ? (metrics[name] ?? null) : null;

function luckText({ direction, name }: Objective, index: number, trials: readonly Trial[]): string {
  const values = trials.filter(hasOwnValue).map((trial) => trial.values[index] ?? Number.NaN);
  const luck = luckOf(values, direction);
  if (luck === null) return 'cannot be said: fewer than two trials with different finite values';
  const finite = values.filter(Number.isFinite);
  const best = finite.reduce((a, b) => (direction === 'maximize' ? Math.max(a, b) : Math.min(a, b)));
  const beyond = direction === 'maximize' ? best - luck.expectedBest : luck.expectedBest - best;
  const verdict =
    beyond > 0
      ? `is better by ${figure(beyond)} (${(beyond / luck.sd).toFixed(1)} sd)`
      : 'is not better than that';
  return (
    `the best of ${luck.trials} independent draws from a normal with these trials' mean ${figure(luck.mean)} and ` +
    `sd ${figure(luck.sd)} is expected at ${figure(luck.expectedBest)}; the best ${name} here, ${figure(best)}, ${verdict}`
  );
}

/** How far the best stands from what trials without any skill would show; null where that is not known. */
function noSkillText(objective: Objective, index: number, trials: readonly Trial[]): string | null {
  const found = noSkillOf(objective, trials.filter(hasOwnValue), index);
  if (found === null) return null;
  const chance = found.chance < 0.001 ? 'below 0.1 %' : `${(found.chance * 100).toFixed(1)} %`;
  return (
    `if no trial could predict anything, the best ${objective.name} of ${found.trials} would be expected at ` +
    `${figure(found.expectedBest)} at most (level ${figure(found.mean)}, standard error ${figure(found.sd)}); ` +
    `chance of one as good as here: ${chance}`
  );
}

/** Whether the only best trial's Sharpe ratio is more than the best of so many; nothing where that cannot be said. */
function sharpeRows(best: readonly Trial[], trials: readonly Trial[]): [string, string][] {
  const [only, ...others] = best;
  const found =
    only === undefined || others.length > 0 ? null : deflatedSharpeOf(only, trials.filter(hasOwnValue));
  if (found === null) return [];
  const { sharpe, expectedBest, probability } = found;
  return [
    [
      'Sharpe',
      `the best Sharpe of ${found.trials} strategies worth nothing is expected at ${figure(expectedBest)}; probability that the ` +
        `true one of the best trial, ${figure(sharpe)} here, lies above that: ${(probability * 100).toFixed(1)} %`,
    ],
  ];
}

/** A number with four decimals, or four significant digits when that would show nothing of it or too much. */
function figure(value: number): string {
  const size = Math.abs(value);
  if (!Number.isFinite(value) || size === 0) return String(value);
  return size >= 0.001 && size < 1000 ? value.toFixed(4) : Number(value.toPrecision(4)).toString();
}
