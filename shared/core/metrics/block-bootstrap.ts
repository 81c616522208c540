/** Uncertainty of a figure of a dependent series (hermite-model.md §18.8). */
import type { Mt19937 } from '../sampler/mt19937.js';
import { variance } from './numbers.js';

export interface BootstrapInterval {
  readonly standardError: number;
  /** 5 % and 95 % quantiles of the resampled figure. */
  readonly low: number;
  readonly high: number;
  /** Resamples in which the figure was defined. */
  readonly defined: number;
}

export interface BootstrapOptions {
  readonly random: Mt19937;
  /** Resamples, ≥ 2. */
  readonly resamples: number;
  /** Steps per block, ≥ 1; long enough that blocks hardly depend on each other. */
  readonly blockLength: number;
}

/** The usual block length n^(1/3), at least 1. */
export const blockLengthFor = (rows: number): number => Math.max(1, Math.ceil(Math.cbrt(rows)));

/**
 * Circular block bootstrap (Politis and Romano 1992): resamples of the same length are pasted from blocks of the series read as
 * a ring, so that every step is equally likely. Undefined (NaN) resamples are left out and counted. NaN for an empty series.
 */
export function blockBootstrap(
  series: Float64Array,
  figure: (resample: Float64Array) => number,
  options: BootstrapOptions,
): BootstrapInterval {
  const { random, resamples, blockLength } = options;
  const n = series.length;
  const resample = new Float64Array(n);
  const values: number[] = [];
  for (let round = 0; round < resamples && n > 0; round++) {
    for (let filled = 0; filled < n; filled += blockLength) {
      const start = Math.floor(random.nextDouble() * n);
      const length = Math.min(blockLength, n - filled);
      for (let k = 0; k < length; k++) resample[filled + k] = series[(start + k) % n] ?? NaN;
    }
    const value = figure(resample);
    if (!Number.isNaN(value)) values.push(value);
  }
  values.sort((a, b) => a - b);
  const quantile = (share: number): number => values[Math.round(share * (values.length - 1))] ?? NaN;
  return {
    standardError: Math.sqrt(variance(values, 1)),
    low: quantile(0.05),
    high: quantile(0.95),
    defined: values.length,
  };
}
