/** What `coordinator start` shows while a study runs: a bar on a terminal, one line per finished trial elsewhere. */
import type { StudyView } from '../../shared/core/study/study.js';
import { hasOwnValue } from '../../shared/core/study/trial.js';
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

/** How much room the line takes: from all that is nice to have down to what must be there. */
interface Layout {
  readonly barWidth: number;
  readonly separator: string;
  readonly running: string;
  /** Whether the number of the best trial is shown. */
  readonly showsBest: boolean;
  readonly figure: (value: number | undefined) => string;
  readonly eta: (ms: number | null) => string;
}

/** Widest first. The last two hold every field of a study of thousands of trials in 79 characters. */
const layouts: readonly [Layout, ...Layout[]] = [
  {
    ...{ barWidth: 20, separator: ' · ', running: 'running', showsBest: true },
    ...{ figure: (value) => format(value), eta: (ms) => duration(ms) },
  },
  {
    ...{ barWidth: 10, separator: ' · ', running: 'running', showsBest: true },
    ...{ figure: (value) => shortFigure(value, 3), eta: (ms) => duration(ms) },
  },
  {
    ...{ barWidth: 6, separator: ' ', running: 'run', showsBest: false },
    ...{ figure: (value) => shortFigure(value, 3), eta: (ms) => duration(ms).replace(' ', '') },
  },
  {
    ...{ barWidth: 0, separator: ' ', running: 'run', showsBest: false },
    ...{ figure: (value) => shortFigure(value, 3), eta: (ms) => duration(ms).replace(/ .*/, '') },
  },
  {
    ...{ barWidth: 0, separator: ' ', running: 'run', showsBest: false },
    ...{ figure: (value) => shortFigure(value, 2), eta: (ms) => duration(ms).replace(/ .*/, '') },
  },
];

/**
 * One line for the terminal: bar, counts, ETA, best figures. Less than `width` characters, so that the cursor stays in
 * the line: the widest layout that fits, and where none does whole fields are left out from the end.
 */
export function barLine(state: ProgressState, width: number): string {
  const most = Math.max(width - 1, 0);
  let fields: readonly string[] = [];
  let separator = '';
  for (const layout of layouts) {
    fields = fieldsOf(state, layout);
    ({ separator } = layout);
    if (fields.join(separator).length <= most) break;
  }
  while (fields.length > 0 && fields.join(separator).length > most) fields = fields.slice(0, -1);
  return fields.join(separator);
}

function fieldsOf(state: ProgressState, layout: Layout): readonly string[] {
  const { study, best } = state;
  const done = finishedCount(study.counts);
  const share = Math.min(done, study.trialsMax) / Math.max(study.trialsMax, 1);
  const filled = Math.round(layout.barWidth * share);
  const bar = `${'█'.repeat(filled)}${'░'.repeat(layout.barWidth - filled)}`;
  return [
    `${bar}${bar === '' ? '' : ' '}${done}/${study.trialsMax}`,
    `${layout.running} ${study.counts.RUNNING}`,
    `OOM ${study.oomAttempts}`,
    `ETA ${layout.eta(etaMs(state))}`,
    ...(best === null ? [] : bestFields(best, layout)),
  ];
}

function bestFields({ number, values, metrics }: TrialRecord, layout: Layout): readonly string[] {
  const [first = '', ...others] = figures(values, metrics, layout.figure);
  // In the wide layouts the figures stand together, as those of one trial.
  return layout.showsBest ? [`best #${number}: ${[first, ...others].join(' ')}`] : [first, ...others];
}

/** One log line for a finished trial, with the state of the study behind it. */
export function trialLine(trial: TrialRecord, state: ProgressState): string {
  const { study, best } = state;
  const done = finishedCount(study.counts);
  const own = figures(trial.values, trial.metrics, format).join(' ');
  const outcome = hasOwnValue(trial)
    ? own
    : `${trial.reason ?? ''}${trial.values.length > 0 ? ` ${own}` : ''}${trial.message === '' ? '' : ` (${firstLine(trial.message)})`}`;
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

/** `Score 0.6123`, `AUC 0.6000`, …: the objective values and the known metrics, a field each. */
function figures(
  values: readonly number[],
  metrics: Metrics,
  figure: (value: number | undefined) => string,
): readonly string[] {
  const score =
    values.length === 1 ? `Score ${figure(values[0])}` : `values ${values.map(figure).join(', ')}`;
  const known = knownMetrics.flatMap(([name, label]) =>
    name in metrics ? [`${label} ${figure(metrics[name])}`] : [],
  );
  return [score, ...known];
}

const format = (value: number | undefined): string =>
  value === undefined
    ? '–'
    : Number.isNaN(value)
      ? 'NaN'
      : Math.abs(value) >= 1e4
        ? value.toExponential(3)
        : value.toFixed(4);

/** `digits` decimals below 1, as many significant digits above: `0.612`, `-1.23`, `12.3`, `1e+5`. */
function shortFigure(value: number | undefined, digits: number): string {
  if (value === undefined) return '–';
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? 'inf' : '-inf';
  if (size >= 1e4) return value.toExponential(0);
  const whole = size < 1 ? 0 : Math.trunc(size).toString().length;
  return value.toFixed(Math.max(digits - whole, 0));
}

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
