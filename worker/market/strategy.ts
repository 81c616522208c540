/**
 * From probabilities to positions and returns (hermite-model.md §14, 18.1, 18.8). Positions are made here from forecasts alone; outcomes
 * enter only where their returns are counted.
 */
import { maxDrawdown } from '../../shared/core/metrics/drawdown.js';
import { mean } from '../../shared/core/metrics/numbers.js';
import { periodsPerYear, sharpeRatio } from '../../shared/core/metrics/sharpe.js';

export interface PositionRules {
  /** Trade when p ≥ threshold or p ≤ 1 − threshold, … */
  readonly threshold: number;
  /** … and |p − ½| is at least this (floored at 0). */
  readonly confidenceMargin: number;
  /** Largest position as a share of equity (floored at 1e−6). */
  readonly kellyClip: number;
}

/** How returns are counted: as the original did, or with closing trades, gaps and the real bar length. */
export type Accounting =
  | { readonly form: 'v6'; readonly periodsPerYear: number }
  | {
      readonly form: 'bar-aware';
      /** Anchor candles: a position is closed where the next one does not follow on. */
      readonly anchors: Uint32Array;
      readonly horizon: number;
      readonly secondsPerStep: number;
    };

export interface StrategyFigures {
  /** NaN when returns do not vary, in particular without a trade. */
  readonly sharpe: number;
  readonly maxDrawdown: number;
  /** v6: share of all steps that gained; bar-aware: of the steps with a position, NaN without one. */
  readonly hitRate: number;
  /** Sum of position changes. */
  readonly turnover: number;
  readonly activeFraction: number;
  readonly averagePosition: number;
  /** Positions opened or turned around. */
  readonly trades: number;
  /** Signed share of equity, one per traded step. */
  readonly positions: Float64Array;
  readonly net: Float64Array;
  readonly periodsPerYear: number;
}

/** What a strategy does at each row, before any outcome is known. */
export interface Decisions {
  /** Signed share of equity, 0 where inactive. */
  readonly positions: Float64Array;
  /** Whether the rules let trade; a probability of exactly ½ may be active with position 0. */
  readonly active: readonly boolean[];
}

/**
 * The decision at each row. `open` says where a gate lets trade (null: everywhere). Comparisons are made on doubles as
 * written: 0.45 ≤ 1 − 0.55 is false.
 */
export function decide(
  probabilities: Float64Array,
  open: ArrayLike<boolean> | null,
  rules: PositionRules,
): Decisions {
  const margin = Math.max(0, rules.confidenceMargin);
  const clip = Math.max(1e-6, rules.kellyClip);
  const active = Array.from(probabilities, (p, t) => {
    const decided = p >= rules.threshold || p <= 1 - rules.threshold;
    return decided && Math.abs(p - 0.5) >= margin && (open === null || open[t] === true);
  });
  const positions = probabilities.map((p, t) =>
    active[t] === true ? Math.min(clip, Math.max(-clip, 2 * (p - 0.5))) : 0,
  );
  return { positions, active };
}

/** Whether `|mu|` is large enough against the half width of its interval; everything here is known at the anchor. */
export const exAnteGate = (mu: Float64Array, halfWidth: Float64Array, ratio: number): boolean[] =>
  Array.from(mu, (value, t) => (halfWidth[t] ?? NaN) <= ratio * Math.abs(value));

interface Step {
  readonly active: boolean;
  readonly position: number;
  readonly grossReturn: number;
  /** The position is given up after this step, with cost. */
  readonly closes: boolean;
}

/** Every row is a step; the last position is never closed. */
const stepsV6 = (decisions: Decisions, y: ArrayLike<number>): Step[] =>
  decisions.active.map((active, t) => stepAt(decisions, y, { t, active, closes: false }));

function stepAt(
  { positions }: Decisions,
  y: ArrayLike<number>,
  { t, active, closes }: { t: number; active: boolean; closes: boolean },
): Step {
  return { active, position: positions[t] ?? 0, grossReturn: Math.expm1(y[t] ?? NaN), closes };
}

/** Every h-th row of each unbroken stretch is a step, so that holding periods do not overlap. */
function stepsBarAware(
  decisions: Decisions,
  y: ArrayLike<number>,
  { anchors, horizon }: Extract<Accounting, { form: 'bar-aware' }>,
): Step[] {
  const steps: Step[] = [];
  let stretchStart = 0;
  for (const [t, active] of decisions.active.entries()) {
    if (t > 0 && anchors[t] !== (anchors[t - 1] ?? NaN) + 1) stretchStart = t;
    if ((t - stretchStart) % horizon !== 0) continue;
    const followsOn = anchors[t + horizon] === (anchors[t] ?? NaN) + horizon;
    steps.push(stepAt(decisions, y, { t, active, closes: !followsOn }));
  }
  return steps;
}

interface Counted {
  readonly net: Float64Array;
  readonly turnover: number;
  readonly trades: number;
}

function count(steps: readonly Step[], costRate: number): Counted {
  let before = 0;
  let turnover = 0;
  let trades = 0;
  const net = Float64Array.from(steps, ({ position, grossReturn, closes }) => {
    const change = Math.abs(position - before) + (closes ? Math.abs(position) : 0);
    if (position !== 0 && Math.sign(position) !== Math.sign(before)) trades++;
    before = closes ? 0 : position;
    turnover += change;
    return position * grossReturn - change * costRate;
  });
  return { net, turnover, trades };
}

/**
 * What the decisions would have earned on log returns `y`, with `costBps` (slippage included) per unit of position change. All
 * figures are NaN or 0 for no rows.
 */
export function countReturns(
  decisions: Decisions,
  y: ArrayLike<number>,
  accounting: Accounting,
  costBps: number,
): StrategyFigures {
  const v6 = accounting.form === 'v6';
  const steps = v6 ? stepsV6(decisions, y) : stepsBarAware(decisions, y, accounting);
  const { net, turnover, trades } = count(steps, costBps * 1e-4);
  const periods = v6
    ? accounting.periodsPerYear
    : periodsPerYear(accounting.secondsPerStep * accounting.horizon);
  const taken = Float64Array.from(steps, ({ position }) => position);
  const counted = v6 ? net : net.filter((_, t) => taken[t] !== 0);
  return {
    sharpe: sharpeRatio(net, periods),
    maxDrawdown: maxDrawdown(net, v6 ? 'v6' : 'from-start'),
    hitRate: mean(counted.map((value) => (value > 0 ? 1 : 0))),
    turnover,
    activeFraction: mean(steps.map(({ active }) => Number(active))),
    averagePosition: mean(taken.map(Math.abs)),
    trades,
    positions: taken,
    net,
    periodsPerYear: periods,
  };
}

/** Position 1 throughout, under the same accounting. */
export const alwaysLong = (y: ArrayLike<number>, accounting: Accounting, costBps: number): StrategyFigures =>
  countReturns(
    { positions: new Float64Array(y.length).fill(1), active: Array<boolean>(y.length).fill(true) },
    y,
    accounting,
    costBps,
  );

/** Position of the largest Sharpe ratio, the first on a tie; NaN counts as −∞. */
export function bestBySharpe(runs: readonly Pick<StrategyFigures, 'sharpe'>[]): number {
  let best = 0;
  let highest = -Infinity;
  runs.forEach(({ sharpe }, i) => {
    if (sharpe > highest) {
      highest = sharpe;
      best = i;
    }
  });
  return best;
}
