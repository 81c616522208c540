/** What `coordinator start` shows while a study runs: a bar on a terminal, one line per finished trial elsewhere. */
import type { StudyView } from '../../shared/core/study/study.js';
import { finishedCount } from '../../shared/core/study/study.js';
import type { Metrics } from '../../shared/core/study/trial.js';
import type { TrialRecord } from '../storage/port.js';

export interface ProgressState {
  readonly study: StudyView;
  /** The best trial so far (several objectives: the first of the front); null while none is COMPLETE. */
  readonly best: TrialRecord | null;
  /** Trials that finished since this process began. */
  readonly finishedHere: number;
  readonly elapsedMs: number;
}

const barWidth = 20;

/** One line for the terminal: bar, counts, best figures, ETA. At most `width` characters. */
export function barLine(state: ProgressState, width: number): string {
  const { study, best } = state;
  const done = finishedCount(study.counts);
  const filled = Math.round((barWidth * Math.min(done, study.trialsMax)) / Math.max(study.trialsMax, 1));
  const bar = `${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)}`;
  const parts = [
    `${bar} ${done}/${study.trialsMax}`,
    `running ${study.counts.RUNNING}`,
    `OOM ${study.oomAttempts}`,
  ];
  if (best !== null) parts.push(`best #${best.number}: ${figures(best.values, best.metrics)}`);
  return [...parts, `ETA ${duration(etaMs(state))}`].join(' · ').slice(0, Math.max(width - 1, 20));
}

/** One log line for a finished trial, with the state of the study behind it. */
export function trialLine(trial: TrialRecord, state: ProgressState): string {
  const { study, best } = state;
  const done = finishedCount(study.counts);
  const outcome =
    trial.state === 'COMPLETE' && trial.reason === 'finished'
      ? figures(trial.values, trial.metrics)
      : `${trial.reason ?? ''}${trial.values.length > 0 ? ` ${figures(trial.values, trial.metrics)}` : ''}${trial.message === '' ? '' : ` (${firstLine(trial.message)})`}`;
  const bestText = best === null ? 'none yet' : `${format(best.values[0])} (#${best.number})`;
  return (
    `trial ${trial.number} ${trial.state} ${outcome} | best ${bestText} | ` +
    `${done}/${study.trialsMax} done, ${study.counts.RUNNING} running, ${study.oomAttempts} OOM, ETA ${duration(etaMs(state))}`
  );
}

/** Names of the reference study's metrics as people know them; others are shown under their own name. */
const knownMetrics: readonly (readonly [string, string])[] = [
  ['auc', 'AUC'],
  ['dir_acc', 'DirAcc'],
  ['sharpe', 'Sharpe'],
];

function figures(values: readonly number[], metrics: Metrics): string {
  const score =
    values.length === 1 ? `Score ${format(values[0])}` : `values ${values.map(format).join(', ')}`;
  const known = knownMetrics.flatMap(([name, label]) =>
    name in metrics ? [`${label} ${format(metrics[name])}`] : [],
  );
  return [score, ...known].join(' ');
}

const format = (value: number | undefined): string =>
  value === undefined
    ? '–'
    : Number.isNaN(value)
      ? 'NaN'
      : Math.abs(value) >= 1e4
        ? value.toExponential(3)
        : value.toFixed(4);

const firstLine = (text: string): string => (text.split('\n')[0] ?? '').slice(0, 160);

/** Milliseconds until the budget is used up at the pace since this process began; null while nothing has finished. */
function etaMs({ study, finishedHere, elapsedMs }: ProgressState): number | null {
  const left = study.trialsMax - finishedCount(study.counts);
  if (left <= 0) return 0;
  return finishedHere === 0 ? null : (left * elapsedMs) / finishedHere;
}

/** `2h 05m`, `3m 10s`, `12s`; `–` for unknown. */
export function duration(ms: number | null): string {
  if (ms === null || !Number.isFinite(ms)) return '–';
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${String(seconds % 60).padStart(2, '0')}s`;
  return `${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, '0')}m`;
}
