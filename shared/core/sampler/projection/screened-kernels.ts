/** The kernels of one mixture as the screen takes them. */
import { clip } from '../rounding.js';
import { scottBandwidth, smallestBandwidth } from '../tpe/bandwidth.js';
import type { EstimatorRules } from '../tpe/estimator-rules.js';
import { CellsAxis } from './cells-axis.js';
import { ClassEnds } from './class-ends.js';
import { NeighbourBandwidths } from './neighbour-bandwidths.js';
import type { Observations } from './observations.js';
import { OddKernels } from './odd-kernels.js';

export interface ScreenedKernels {
  /** Observations; the prior is not counted. */
  readonly n: number;
  /** Positions in the arrays; kernels stand anywhere in them, and other positions weigh nothing. */
  readonly count: number;
  /** Per position and table axis: the address of a row, counted from the first one. */
  readonly rows: Uint32Array;
  /** Per position and coordinate axis: the share of its centre. */
  readonly centres: Float32Array;
  /** Weights in the mixture times the kernels' heights on the coordinate axes. */
  readonly weights: Float32Array;
  /** What all weights add up to, or more. */
  readonly totalWeight: number;
  /** Per position and coordinate axis: how distances are scaled; null when that is the same for all kernels. */
  readonly scales: Float32Array | null;
  readonly priorWeight: number;
  readonly odd: OddKernels;
  /** 1 for every row that is needed; null: all are. */
  readonly neededRows: Uint8Array | null;
}

/** Bandwidth that kernels of a numeric parameter share, in units of the range; `d` parameters in the space. */
export function commonBandwidth(n: number, d: number, rules: EstimatorRules): number {
  const smallest = smallestBandwidth(n, 1, rules.magicClip);
  return rules.bandwidth === 'neighbour' ? smallest : clip(scottBandwidth(n, d, 1), smallest, 1);
}

/** Those kernels of a mixture of `n` that have a bandwidth of their own; `ends` per table axis, `at` their positions. */
export function oddKernels(
  observations: Observations,
  ends: readonly ClassEnds[],
  { n, smallest, at }: { n: number; smallest: number; at: (slot: number) => number },
): OddKernels {
  const odd = new OddKernels();
  for (const [t, axis] of observations.tables.entries()) {
    const of = ends[t];
    if (axis instanceof CellsAxis && of !== undefined) odd.find(axis, t, { ends: of, n, smallest, at });
  }
  return odd;
}

/** The few good kernels, put together anew whenever they change. `slots` in kernel order, their weights likewise. */
export function goodKernels(
  observations: Observations,
  { slots, weights: given }: { slots: Uint32Array; weights: Float64Array },
  d: number,
  rules: EstimatorRules,
): ScreenedKernels {
  const { tables, coordinates } = observations;
  const n = slots.length;
  const width = coordinates.length;
  const rows = new Uint32Array(n * tables.length);
  const centres = new Float32Array(n * width);
  const weights = Float32Array.from(given.subarray(0, n));
  const isNeighbour = rules.bandwidth === 'neighbour';
  const scales = isNeighbour ? new Float32Array(n * width) : null;
  const neededRows = new Uint8Array(observations.rowCount);
  const position = new Map<number, number>();
  slots.forEach((slot, k) => {
    position.set(slot, k);
    rows.set(observations.rows.subarray(slot * tables.length, (slot + 1) * tables.length), k * tables.length);
    centres.set(observations.centres.subarray(slot * width, (slot + 1) * width), k * width);
    tables.forEach((_, t) => {
      neededRows[(observations.firstRow[t] ?? 0) + observations.classOf(slot, t)] = 1;
    });
  });
  const common = commonBandwidth(n, d, rules);
  const isEarlier = (a: number, b: number): boolean => (position.get(a) ?? 0) < (position.get(b) ?? 0);
  for (const [c, axis] of coordinates.entries()) {
    const neighbours = new NeighbourBandwidths(axis, isEarlier);
    if (isNeighbour) neighbours.reset(slots, common);
    slots.forEach((slot, k) => {
      const sigma = isNeighbour ? (neighbours.sigmas[slot] ?? 1) : common;
      weights[k] = (weights[k] ?? 0) * axis.height(axis.shares[slot] ?? 0, sigma);
      if (scales !== null) scales[k * width + c] = axis.scaleFactor(sigma);
    });
  }
  const ends = isNeighbour
    ? tables.map((_, t) => {
        const found = new ClassEnds((slot) => observations.classOf(slot, t));
        found.reset(slots);
        return found;
      })
    : [];
  const odd = oddKernels(observations, ends, {
    n,
    smallest: common,
    at: (slot) => position.get(slot) ?? 0,
  });
  return {
    ...{ n, count: n, rows, centres, weights, scales, odd, neededRows },
    totalWeight: weights.reduce((sum, weight) => sum + weight, 0),
    priorWeight: given[n] ?? 1,
  };
}
