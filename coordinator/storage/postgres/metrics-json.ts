import type { Metrics } from '../../../shared/core/study/trial.js';

const names = ['NaN', 'Infinity', '-Infinity'];

/** Metrics as JSON can hold them: the same object where every number is finite. */
export function plainMetrics(metrics: Metrics): Readonly<Record<string, number | string>> {
  for (const name in metrics) if (!Number.isFinite(metrics[name])) return asPlain(metrics);
  return metrics;
}

const asPlain = (metrics: Metrics): Readonly<Record<string, number | string>> =>
  Object.fromEntries(
    Object.entries(metrics).map(([name, value]) => [name, Number.isFinite(value) ? value : String(value)]),
  );

/** Metrics as jsonb text: numbers, and the texts "NaN", "Infinity", "-Infinity" for what JSON has no number for. */
export const encodeMetrics = (metrics: Metrics): string => JSON.stringify(plainMetrics(metrics));

/** The inverse of `encodeMetrics` on the parsed value. */
export function decodeMetrics(stored: Readonly<Record<string, number | string>>): Metrics {
  if (!Object.values(stored).some((value) => typeof value === 'string')) return stored as Metrics;
  return Object.fromEntries(Object.entries(stored).map(([name, value]) => [name, decodeNumber(value)]));
}

function decodeNumber(value: number | string): number {
  if (typeof value === 'number') return value;
  if (!names.includes(value)) throw new Error(`stored metric ${JSON.stringify(value)} is not a number`);
  return Number(value);
}
