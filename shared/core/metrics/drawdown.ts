/** The deepest fall of an equity curve (hermite-model.md §14, 18.8). */
import type { Numbers } from './numbers.js';

/** `from-start` counts the starting equity 1 as a peak; `v6` starts at the first step, so a first loss is not seen. */
export type DrawdownForm = 'from-start' | 'v6';

/** Lowest `equity / running maximum − 1` of `equity = Π(1 + net)`; 0 without a fall, NaN for no steps. */
export function maxDrawdown(netReturns: Numbers, form: DrawdownForm = 'from-start'): number {
  if (netReturns.length === 0) return NaN;
  let equity = 1;
  let peak = form === 'from-start' ? 1 : -Infinity;
  let deepest = 0;
  for (let i = 0; i < netReturns.length; i++) {
    equity *= 1 + (netReturns[i] ?? NaN);
    if (equity > peak) peak = equity;
    deepest = Math.min(deepest, equity / peak - 1);
  }
  return deepest;
}
