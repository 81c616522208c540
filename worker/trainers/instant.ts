import type { Params } from '../../shared/core/space/parameter.js';
import type { Metrics } from '../../shared/core/study/trial.js';
import { TrialStopped, type Trainer } from './port.js';

/** FNV-1a over a text, as a fraction in [0, 1): spreads strings and booleans without any meaning. */
function fraction(text: string): number {
  let hash = 0x811c9dc5;
  for (const character of text) {
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  }
  return hash / 2 ** 32;
}

/**
 * The metrics of the `instant` trainer: a smooth function of the numeric parameters with its best point at
 * tanh-scaled zero, shifted by a pseudo-random amount per non-numeric value. All results lie within [0, 1].
 */
export function instantMetrics(params: Params): Metrics {
  const names = Object.keys(params).sort();
  let distance = 0;
  for (const name of names) {
    const value = params[name];
    const x = typeof value === 'number' ? Math.tanh(value) : fraction(`${name}=${String(value)}`);
    distance += x * x;
  }
  const score = 1 / (1 + distance / Math.max(1, names.length));
  return { auc: score, dir_acc: 0.5 + (score - 0.5) / 2, sharpe: 2 * score - 1, trades: 100 };
}

/** Answers at once with `instantMetrics`, after one report. For tests and benchmarks of everything but training. */
export const instantTrainer: Trainer = {
  async run(job, report) {
    const metrics = instantMetrics(job.params);
    if (await report(0, metrics)) throw new TrialStopped('stopped at step 0');
    return { metrics, peakMemoryBytes: null };
  },
};
