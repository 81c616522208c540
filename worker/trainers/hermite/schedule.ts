/**
 * The one-cycle schedule of learning rate and β₁ (hermite-model.md §9): cosine up to the peak, cosine down to almost
 * nothing; β₁ moves the other way.
 */
export interface ScheduleSettings {
  /** Steps of the whole cycle. */
  readonly totalSteps: number;
  /** Share of steps before the peak, clamped to [0, 0.9]. */
  readonly warmup: number;
  /** Learning rate at the peak. */
  readonly peak: number;
}

export interface StepRates {
  readonly learningRate: number;
  readonly beta1: number;
}

const startDivisor = 25;
const endDivisor = 1e4;
const beta1High = 0.95;
const beta1Low = 0.85;

const cosine = (from: number, to: number, x: number): number =>
  to + ((from - to) / 2) * (1 + Math.cos(Math.PI * x));

/**
 * Rates for the step with 0-based number `k`; `k = totalSteps` is the value after the last step. Where a phase has no
 * length (warmup·totalSteps = 1, at which the original divides by zero), its end value holds (x = 1).
 */
export function oneCycle(settings: ScheduleSettings, k: number): StepRates {
  const { totalSteps, peak } = settings;
  const start = peak / startDivisor;
  const end = start / endDivisor;
  const peakAt = Math.min(Math.max(settings.warmup, 0), 0.9) * totalSteps - 1;
  if (k <= peakAt) {
    const x = peakAt === 0 ? 1 : k / peakAt;
    return { learningRate: cosine(start, peak, x), beta1: cosine(beta1High, beta1Low, x) };
  }
  const length = totalSteps - 1 - peakAt;
  const x = length === 0 ? 1 : (k - peakAt) / length;
  return { learningRate: cosine(peak, end, x), beta1: cosine(beta1Low, beta1High, x) };
}
