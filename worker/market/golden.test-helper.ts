/** For tests: the golden files beside the project, where `null` stands for NaN (see their README). */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

const folder = path.resolve(import.meta.dirname, '../../../shared/golden/hermite');

/** Whether the golden files are there; tests that need them skip otherwise. */
export const haveGolden = existsSync(folder);

/** Title of a test group that says why it is skipped. */
export const goldenTitle = (title: string): string =>
  haveGolden ? title : `${title} (skipped: no ../shared/golden/hermite)`;

/** A golden file as parsed JSON; the caller states its shape. */
export function readGolden(name: string): unknown {
  return JSON.parse(readFileSync(path.join(folder, name), 'utf8'));
}

/** `null` → NaN, "Infinity" → ∞. */
export function goldenNumber(value: number | string | null): number {
  return value === null ? NaN : Number(value);
}

/** Whether `actual` equals `expected` within `tolerance`, absolute below 1 and relative above; NaN equals NaN. */
export function near(actual: number, expected: number | string | null, tolerance: number): boolean {
  const wanted = goldenNumber(expected);
  if (Number.isNaN(wanted)) return Number.isNaN(actual);
  if (!Number.isFinite(wanted)) return actual === wanted;
  return Math.abs(actual - wanted) <= tolerance * Math.max(1, Math.abs(wanted));
}
