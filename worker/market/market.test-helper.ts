/** For tests: small made-up markets and settings that fit them. */
import type { Candles } from '../../shared/core/market/candles.js';
import { Mt19937 } from '../../shared/core/sampler/mt19937.js';
import type { EvaluationSettings } from '../../shared/core/trainers/evaluation-settings.js';
import { parseEvaluation } from '../../shared/core/trainers/evaluation-settings.js';
import type { SettingRecord } from '../../shared/core/trainers/setting-schema.js';
import type { TrialData } from './prepare-trial-data.js';
import { prepareTrialData } from './prepare-trial-data.js';

const hourMs = 3_600_000;

/** A random walk of hourly candles from a Friday; `missing` lists bars that are left out. */
export function market(bars: number, missing: readonly number[] = [], seed = 1): Candles {
  const random = new Mt19937(seed);
  const kept = Array.from({ length: bars }, (_, i) => i).filter((i) => !missing.includes(i));
  let price = 100;
  const close = Float64Array.from(kept, () => (price *= Math.exp((random.nextDouble() - 0.5) * 0.02)));
  const open = close.map((_, t) => close[t - 1] ?? 100);
  const openTimeMs = Float64Array.from(kept, (i) => 1_707_436_800_000 + i * hourMs);
  return {
    openTimeMs,
    closeTimeMs: openTimeMs.map((time) => time + hourMs - 1),
    open,
    close,
    high: close.map((c, t) => Math.max(c, open[t] ?? 0) * 1.001),
    low: close.map((c, t) => Math.min(c, open[t] ?? 0) * 0.999),
    volume: close.map(() => 50 + 100 * random.nextDouble()),
    quoteVolume: close,
    tradeCount: close,
    takerBuyBase: close,
    takerBuyQuote: close,
  };
}

const small: SettingRecord = {
  fold_count: 3,
  test_rows: 60,
  calibration_rows: 300,
  early_stop_rows: 50,
  train_rows_min: 100,
  train_rows_max: 400,
  holdout_rows: 40,
  window_max: 32,
};
/** Honest settings for a thousand bars. */
export function settings(extra: SettingRecord = {}): EvaluationSettings {
  const parsed = parseEvaluation({ ...small, ...extra });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.evaluation;
}
/** A prepared trial; throws when it is refused. */
export function ready(candles: Candles, window: number, evaluation: EvaluationSettings): TrialData {
  const prepared = prepareTrialData(candles, window, evaluation);
  if (prepared.kind === 'refused') throw new Error(prepared.message);
  return prepared.data;
}
