/** Isotonic regression: the non-decreasing step function nearest to labels (hermite-model.md §11). */
import { ascendingOrder } from '../../shared/core/metrics/auc.js';
import type { Numbers } from '../../shared/core/metrics/numbers.js';

/** Ends of the flat stretches, x ascending, y non-decreasing. */
export interface IsotonicKnots {
  readonly x: Float64Array;
  readonly y: Float64Array;
}

/** Inputs closer than this to the start of a group are one input, as in the library the original used. */
const mergeBelow = { f32: 1e-6, f64: 1e-15 } as const;

interface Group {
  readonly x: number;
  sum: number;
  weight: number;
}

/** Groups of (nearly) equal inputs with the sums of their labels, ascending. */
function groupInputs(inputs: Numbers, labels: Numbers, precision: 'f32' | 'f64'): Group[] {
  const round = precision === 'f32' ? Math.fround : (value: number): number => value;
  const groups: Group[] = [];
  for (const i of ascendingOrder(inputs)) {
    const x = round(inputs[i] ?? NaN);
    const label = labels[i] ?? NaN;
    const last = groups.at(-1);
    if (last !== undefined && x - last.x < mergeBelow[precision]) {
      last.sum += label;
      last.weight += 1;
    } else {
      groups.push({ x, sum: label, weight: 1 });
    }
  }
  return groups;
}

/** Pool adjacent violators: value of each group. */
function pooledValues(groups: readonly Group[]): Float64Array {
  const blocks: { sum: number; weight: number; groups: number }[] = [];
  for (const { sum, weight } of groups) {
    let block = { sum, weight, groups: 1 };
    for (let last = blocks.at(-1); last !== undefined; last = blocks.at(-1)) {
      if (last.sum / last.weight < block.sum / block.weight) break;
      block = {
        sum: last.sum + block.sum,
        weight: last.weight + block.weight,
        groups: last.groups + block.groups,
      };
      blocks.pop();
    }
    blocks.push(block);
  }
  return Float64Array.from(
    blocks.flatMap(({ sum, weight, groups: size }) => Array<number>(size).fill(sum / weight)),
  );
}

/**
 * Fits labels (0/1) on inputs. Equal inputs are averaged first; `f32` rounds inputs and values to single precision and merges inputs
 * closer than 1e−6. Interior points of flat stretches are dropped, which changes no prediction. At least one row is needed.
 */
export function fitIsotonic(inputs: Numbers, labels: Numbers, precision: 'f32' | 'f64'): IsotonicKnots {
  if (inputs.length === 0) throw new RangeError('isotonic regression needs at least one row');
  const groups = groupInputs(inputs, labels, precision);
  const values = pooledValues(groups);
  const kept = groups.flatMap((group, i) => {
    const end = i === 0 || i === groups.length - 1;
    const flat = values[i] === values[i - 1] && values[i] === values[i + 1];
    return end || !flat ? [{ x: group.x, y: values[i] ?? NaN }] : [];
  });
  const y = Float64Array.from(kept, (knot) => knot.y);
  return {
    x: Float64Array.from(kept, (knot) => knot.x),
    y: precision === 'f32' ? y.map((value) => Math.fround(value)) : y,
  };
}

/** The value at `input`: linear between knots, constant outside them. NaN stays NaN. */
export function predictIsotonic({ x, y }: IsotonicKnots, input: number): number {
  if (Number.isNaN(input)) return NaN;
  let low = 0;
  let high = x.length - 1;
  if (input <= (x[low] ?? NaN)) return y[low] ?? NaN;
  if (input >= (x[high] ?? NaN)) return y[high] ?? NaN;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((x[middle] ?? NaN) <= input) low = middle;
    else high = middle;
  }
  const [x0 = NaN, x1 = NaN, y0 = NaN, y1 = NaN] = [x[low], x[high], y[low], y[high]];
  return y0 + ((y1 - y0) * (input - x0)) / (x1 - x0);
}
