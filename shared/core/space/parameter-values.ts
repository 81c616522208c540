/**
 * Values of parameters: the way between a value and the number by which the sampler knows it (its internal value,
 * tpe.md §3), and the checks of values against a space.
 */
import { choicesEqual } from './parameter-equality.js';
import type { Parameter, ParameterValue, Params, Space } from './parameter.js';

/** Largest distance, in steps, at which a float still counts as lying on its grid (tpe.md §3). */
const gridTolerance = 1e-8;

/**
 * The internal value: the number itself, or the index of the first equal choice. Null when the value is not one that
 * the parameter could ever have recorded: a wrong type, NaN, an infinity, an unknown choice, a fraction for an int,
 * or zero and less on a log scale. A number outside the range or between grid points has an internal value.
 */
export function toInternal(parameter: Parameter, value: ParameterValue): number | null {
  if (parameter.kind === 'categorical') {
    const index = parameter.choices.findIndex((choice) => choicesEqual(choice, value));
    return index < 0 ? null : index;
  }
  if (typeof value !== 'number' || !Number.isFinite(value)) return null;
  if (parameter.kind === 'int' && !Number.isSafeInteger(value)) return null;
  if (parameter.log && value <= 0) return null;
  return value;
}

/** The value that an internal value stands for. Throws a `RangeError` for an index that no choice has. */
export function fromInternal(parameter: Parameter, internal: number): ParameterValue {
  if (parameter.kind !== 'categorical') return internal;
  const choice = parameter.choices[internal];
  if (choice === undefined) {
    throw new RangeError(`parameter ${JSON.stringify(parameter.name)} has no choice number ${internal}`);
  }
  return choice;
}

/** Whether an internal value is a legal one: in range and, with a step, on the grid (tpe.md §3). */
export function contains(parameter: Parameter, internal: number): boolean {
  if (parameter.kind === 'categorical') {
    return Number.isInteger(internal) && internal >= 0 && internal < parameter.choices.length;
  }
  const { low, high, step } = parameter;
  if (!(internal >= low && internal <= high)) return false;
  if (parameter.kind === 'int') return (internal - low) % parameter.step === 0;
  if (step === null) return true;
  const steps = (internal - low) / step;
  return Math.abs(steps - Math.round(steps)) < gridTolerance;
}

/** Whether a value is a legal one of the parameter: representable, in range and on the grid. */
export function isOnGrid(parameter: Parameter, value: ParameterValue): boolean {
  const internal = toInternal(parameter, value);
  return internal !== null && contains(parameter, internal);
}

/** What is wrong with a set of values; four empty lists mean nothing is. */
export interface ParamsCheck {
  /** Parameters of the space without a value, in space order. */
  readonly missing: readonly string[];
  /** Names that the space does not have. */
  readonly unknown: readonly string[];
  /** Values the parameter could never record (see `toInternal`); an error wherever they come from. */
  readonly invalid: readonly string[];
  /** Numbers outside the range or between grid points; legal for enqueued trials, which are used as given. */
  readonly offGrid: readonly string[];
}

/** Compares values with a space. Throws nothing; the caller decides which of the findings is an error. */
export function checkParams(space: Space, params: Params): ParamsCheck {
  const names = new Set(space.map((parameter) => parameter.name));
  const missing: string[] = [];
  const invalid: string[] = [];
  const offGrid: string[] = [];
  for (const parameter of space) {
    const value = Object.hasOwn(params, parameter.name) ? params[parameter.name] : undefined;
    if (value === undefined) {
      missing.push(parameter.name);
      continue;
    }
    const internal = toInternal(parameter, value);
    if (internal === null) invalid.push(parameter.name);
    else if (!contains(parameter, internal)) offGrid.push(parameter.name);
  }
  const unknown = Object.keys(params).filter((name) => !names.has(name));
  return { missing, unknown, invalid, offGrid };
}

/** The values a parameter accepts, in words, for error messages: "a number from 0.5 to 5 in steps of 0.25". */
export function describeValues(parameter: Parameter): string {
  if (parameter.kind === 'categorical') {
    return `one of ${parameter.choices.map((choice) => JSON.stringify(choice)).join(', ')}`;
  }
  const { low, high, step } = parameter;
  const noun = parameter.kind === 'int' ? 'an integer' : 'a number';
  const steps = step === null || (parameter.kind === 'int' && step === 1) ? '' : ` in steps of ${step}`;
  return `${noun} from ${low} to ${high}${steps}`;
}

/**
 * Why a value given from outside cannot be a value of the parameter at all (see `toInternal`), with what would be right;
 * null when it can. A number off the grid can.
 */
export function parameterProblem(parameter: Parameter, value: ParameterValue): string | null {
  if (toInternal(parameter, value) !== null) return null;
  const shown = typeof value === 'number' ? String(value) : JSON.stringify(value);
  return `${shown} is not a value of ${JSON.stringify(parameter.name)}, which takes ${describeValues(parameter)}`;
}
