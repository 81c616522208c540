/**
 * Construction and validation of parameters (tpe.md §3). Every parameter in the system was made here, so that its
 * `high` lies on the grid, its bounds are finite and its integers are exact doubles.
 */
import { decimalGrid } from './decimal.js';
import type {
  CategoricalParameter,
  FloatParameter,
  IntParameter,
  NumericParameter,
  Parameter,
  ParameterValue,
  Space,
} from './parameter.js';

export * from './parameter-equality.js';
export * from './parameter-values.js';

/** A parameter that cannot exist; the message names it and says what would be right. */
export class ParameterError extends Error {
  override readonly name = 'ParameterError';
  readonly parameter: string;

  constructor(parameter: string, problem: string) {
    super(`parameter ${JSON.stringify(parameter)}: ${problem}`);
    this.parameter = parameter;
  }
}

export interface FloatSpec {
  readonly name: string;
  readonly low: number;
  readonly high: number;
  readonly log?: boolean;
  readonly step?: number | null;
}

export interface IntSpec {
  readonly name: string;
  readonly low: number;
  readonly high: number;
  readonly log?: boolean;
  /** 1 when absent or null. */
  readonly step?: number | null;
}

function checkName(name: string): void {
  if (name === '') throw new ParameterError(name, 'the name is empty; give it a name');
}

/** Below this, doubles lose digits, and a distance divided by a width may be infinite. */
const smallestNormal = 2 ** -1022;

function checkBounds(name: string, low: number, high: number): void {
  for (const [key, value] of [
    ['low', low],
    ['high', high],
  ] as const) {
    if (!Number.isFinite(value)) {
      throw new ParameterError(name, `${key} is ${value}; it must be a finite number`);
    }
  }
  if (low > high) {
    throw new ParameterError(name, `low ${low} is above high ${high}; low must not exceed high`);
  }
  if (!Number.isFinite(high - low)) {
    throw new ParameterError(name, `the range from ${low} to ${high} is too wide; high - low must be finite`);
  }
  if (low < high && high - low < smallestNormal)
    throw new ParameterError(
      name,
      `the range from ${low} to ${high} is too narrow to calculate with; high - low must be 0 or at least ${smallestNormal}`,
    );
}

/**
 * A float parameter; with a step, `high` is lowered to the grid in decimal arithmetic ([0, 1] step 0.3 → 0.9).
 * Throws a `ParameterError` for bad bounds, a bad step, or log together with a step.
 */
export function makeFloat(spec: FloatSpec): FloatParameter {
  const { name, low, high, log = false, step = null } = spec;
  checkName(name);
  checkBounds(name, low, high);
  if (log && low <= 0) throw new ParameterError(name, `low is ${low}; a log parameter needs low above 0`);
  if (step === null) return { kind: 'float', name, low, high, log, step };
  if (log) throw new ParameterError(name, `step ${step} with log; give one or the other`);
  if (!Number.isFinite(step) || step <= 0) {
    throw new ParameterError(name, `step is ${step}; it must be a finite number above 0`);
  }
  return { kind: 'float', name, low, high: decimalGrid(low, high, step).last, log, step };
}

function checkInteger(name: string, key: string, value: number): void {
  if (!Number.isInteger(value)) throw new ParameterError(name, `${key} is ${value}; it must be an integer`);
  if (!Number.isSafeInteger(value)) {
    throw new ParameterError(name, `${key} is ${value}; integers must lie strictly between -2^53 and 2^53`);
  }
}

/**
 * An int parameter; `high` is lowered to `low + step · floor((high - low) / step)`. Throws a `ParameterError` for
 * bad bounds or steps, integers that a double cannot hold, or log with low < 1 or step ≠ 1.
 */
export function makeInt(spec: IntSpec): IntParameter {
  const { name, low, high, log = false } = spec;
  const step = spec.step ?? 1;
  checkName(name);
  checkBounds(name, low, high);
  checkInteger(name, 'low', low);
  checkInteger(name, 'high', high);
  checkInteger(name, 'high - low', high - low);
  checkInteger(name, 'step', step);
  if (step < 1) throw new ParameterError(name, `step is ${step}; it must be at least 1`);
  if (log && low < 1) throw new ParameterError(name, `low is ${low}; a log integer needs low of at least 1`);
  if (log && step !== 1) throw new ParameterError(name, `step is ${step}; a log integer needs step 1`);
  return { kind: 'int', name, low, high: high - ((high - low) % step), log, step };
}

/** A categorical parameter. Throws a `ParameterError` without choices. */
export function makeCategorical(name: string, choices: readonly ParameterValue[]): CategoricalParameter {
  checkName(name);
  if (choices.length === 0) throw new ParameterError(name, 'no choices; give at least one');
  return { kind: 'categorical', name, choices: [...choices] };
}

/**
 * The warning due when `high` was lowered to the grid, or null when it was kept. `requestedHigh` is the bound that
 * was asked for.
 */
export function loweredHighWarning(parameter: NumericParameter, requestedHigh: number): string | null {
  if (parameter.high === requestedHigh) return null;
  const { name, low, high, step } = parameter;
  return (
    `parameter ${JSON.stringify(name)}: high ${requestedHigh} is not on the grid from ${low} in steps of ` +
    `${String(step)}; ${high} is used`
  );
}

/** The parameters as a space. Throws a `ParameterError` when two share a name. */
export function makeSpace(parameters: readonly Parameter[]): Space {
  const names = new Set<string>();
  for (const { name } of parameters) {
    if (names.has(name)) throw new ParameterError(name, 'the name occurs twice; names must differ');
    names.add(name);
  }
  return [...parameters];
}

/** Whether only one value is legal (tpe.md §3). Such a parameter is never modelled. */
export function isSingle(parameter: Parameter): boolean {
  if (parameter.kind === 'categorical') return parameter.choices.length === 1;
  // `high` is on the grid already, so a range smaller than one step has become low = high.
  return parameter.low === parameter.high;
}

/** Number of legal values; null for a continuous float with more than one value. */
export function gridSize(parameter: Parameter): number | null {
  switch (parameter.kind) {
    case 'categorical':
      return parameter.choices.length;
    case 'int':
      return (parameter.high - parameter.low) / parameter.step + 1;
    case 'float':
      if (parameter.step !== null)
        return decimalGrid(parameter.low, parameter.high, parameter.step).steps + 1;
      return parameter.low === parameter.high ? 1 : null;
  }
}
