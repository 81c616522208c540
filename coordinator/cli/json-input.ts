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

/** A value as it appears in a message, shortened. */
export function show(value: unknown): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

export function asObject(value: unknown, place: string, keys: readonly string[] | null): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InputError(place === '' ? 'input' : place, `${show(value)} must be an object`);
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

export function asArray(value: unknown, place: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new InputError(place, `${show(value)} must be a list`);
  return value;
}

export function asBoolean(value: unknown, place: string, missing: boolean): boolean {
  if (value === undefined) return missing;
  if (typeof value !== 'boolean') throw new InputError(place, `${show(value)} must be true or false`);
  return value;
}

export function asInteger(value: unknown, place: string, low: number, high: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high) return value;
  throw new InputError(place, `${show(value)} must be an integer from ${low} to ${high}`);
}

export function asOneOf<T extends string>(value: unknown, place: string, words: readonly T[]): T {
  const word = words.find((candidate) => candidate === value);
  if (word !== undefined) return word;
  throw new InputError(place, `${show(value)} must be one of ${words.join(', ')}`);
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
  throw new InputError(
    place,
    `${show(value)} must be a number, null (for NaN), "NaN", "Infinity" or "-Infinity"`,
  );
}

export function asFinite(value: unknown, place: string): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new InputError(place, `${show(value)} must be a finite number`);
}

export function asValue(value: unknown, place: string): ParameterValue {
  if (value === null || ['number', 'string', 'boolean'].includes(typeof value)) {
    return value as ParameterValue; // The line above is the check that the compiler cannot follow.
  }
  throw new InputError(place, `${show(value)} must be a number, a string, true, false or null`);
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
