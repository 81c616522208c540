/**
 * Reading JSON that people and their programs give to a command: unknown input is parsed once, and every mistake is an error
 * that names its place, such as `trials[3].values`, and what would be right.
 */
import type { ParameterValue } from '../../shared/core/space/parameter.js';

/** A mistake in the input; the message starts with its place. */
export class InputError extends Error {
  override readonly name = 'InputError';

  constructor(place: string, problem: string) {
    super(place === '' ? problem : `${place}: ${problem}`);
  }
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** The place of a key within a place; '' is the whole input. */
export const within = (place: string, key: string): string => (place === '' ? key : `${place}.${key}`);

/** JSON can be read at any depth, but not written. */
function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return Array.isArray(value) ? 'a list of lists without end' : 'an object of objects without end';
  }
}

/** A value as it appears in a message, shortened. */
export function show(value: unknown): string {
  const text = value === undefined ? 'nothing' : jsonText(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** The problem with a value that has to be `what`; one that is not there is said to be missing. */
const must = (value: unknown, what: string): string =>
  value === undefined ? `is missing; give ${what}` : `${show(value)} must be ${what}`;

/** An object; with `keys`, one that has no others. `place` '' is the whole input. Throws an `InputError`, as all these do. */
export function asObject(value: unknown, place: string, keys: readonly string[] | null): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InputError(place === '' ? 'input' : place, must(value, 'an object'));
  }
  const object: JsonObject = { ...value };
  const unknown = Object.keys(object).find((key) => keys !== null && !keys.includes(key));
  if (unknown !== undefined && keys !== null) {
    throw new InputError(
      place === '' ? 'input' : place,
      `unknown key ${show(unknown)}; the keys are ${keys.join(', ')}`,
    );
  }
  return object;
}

/** A list, of whatever; `what` says in full what it should be, for the error. */
export function asArray(value: unknown, place: string, what = 'a list'): readonly unknown[] {
  if (!Array.isArray(value))
    throw new InputError(place, value === undefined ? must(value, what) : must(value, 'a list'));
  return value;
}

/** True or false; `missing` where there is nothing. */
export function asBoolean(value: unknown, place: string, missing: boolean): boolean {
  if (value === undefined) return missing;
  if (typeof value !== 'boolean') throw new InputError(place, must(value, 'true or false'));
  return value;
}

/** An integer from `low` to `high`, both included. */
export function asInteger(value: unknown, place: string, low: number, high: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high) return value;
  throw new InputError(place, must(value, `an integer from ${low} to ${high}`));
}

/** One of the given words. */
export function asOneOf<T extends string>(value: unknown, place: string, words: readonly T[]): T {
  const word = words.find((candidate) => candidate === value);
  if (word !== undefined) return word;
  throw new InputError(place, must(value, `one of ${words.join(', ')}`));
}

const spelledNumbers = new Map<unknown, number>([
  [null, NaN],
  ['NaN', NaN],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity],
]);

/** A number that may be NaN (null or "NaN") or infinite. */
export function asAnyNumber(value: unknown, place: string): number {
  const number = typeof value === 'number' ? value : spelledNumbers.get(value);
  if (number !== undefined) return number;
  throw new InputError(place, must(value, 'a number, null (for NaN), "NaN", "Infinity" or "-Infinity"'));
}

/** A number that is neither NaN nor infinite. */
export function asFinite(value: unknown, place: string): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new InputError(place, must(value, 'a finite number'));
}

/** What a parameter's value or choice can be; NaN and the infinities among them. */
export function asValue(value: unknown, place: string): ParameterValue {
  if (value === null || ['number', 'string', 'boolean'].includes(typeof value)) {
    return value as ParameterValue; // The line above is the check that the compiler cannot follow.
  }
  throw new InputError(place, must(value, 'a number, a string, true, false or null'));
}

/** A name: text that is not empty. */
export function asName(value: unknown, place: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new InputError(place, must(value, 'a non-empty string'));
}

/**
 * JSON as Python writes it: NaN and the infinities, which JSON itself does not have, become strings. A byte order mark,
 * which some editors and shells put in front, is no part of it.
 */
export function parseJson(text: string): unknown {
  const strict = text
    .replace(/^\uFEFF/, '')
    .replace(/"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g, (token) =>
      token.startsWith('"') ? token : `"${token}"`,
    );
  try {
    return JSON.parse(strict);
  } catch (error) {
    throw new InputError('', `the input is not JSON: ${error instanceof Error ? error.message : ''}`);
  }
}
