/**
 * A small schema language for flat settings: every setting says its kind, range and default, and one parser turns an
 * unknown record into typed values or into the full list of what is wrong with it. Keys are written snake_case in study
 * files and camelCase in code; `Camel` is the only place where the two meet.
 */
export type SettingValue = number | string | boolean | null;
/** A record as a study file or a trial states it, before any check. */
export type SettingRecord = Readonly<Record<string, SettingValue | readonly SettingValue[]>>;

interface NumberSpec<D extends number | null> {
  readonly kind: 'float' | 'int';
  readonly low: number;
  readonly high: number;
  /** The lower bound itself is not allowed. */
  readonly lowExclusive: boolean;
  readonly default: D;
  readonly about: string;
}

interface BooleanSpec {
  readonly kind: 'bool';
  readonly default: boolean;
  readonly about: string;
}

interface ChoiceSpec<C extends string> {
  readonly kind: 'choice';
  readonly choices: readonly C[];
  readonly default: C;
  readonly about: string;
}

export type SettingSpec = NumberSpec<number> | NumberSpec<number | null> | BooleanSpec | ChoiceSpec<string>;
export type SettingSpecs = Readonly<Record<string, SettingSpec>>;

type ValueOf<S> =
  S extends ChoiceSpec<infer C>
    ? C
    : S extends BooleanSpec
      ? boolean
      : S extends NumberSpec<infer D>
        ? null extends D
          ? number | null
          : number
        : never;

type Camel<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : S;

/** The typed, camelCase values that belong to a table of specs. */
export type ValuesOf<S extends SettingSpecs> = {
  readonly [K in keyof S & string as Camel<K>]: ValueOf<S[K]>;
};

/** One thing wrong with a setting: where (`evaluation.test_rows`) and what would be right. */
export interface SettingProblem {
  /** The key as written, or the missing key. */
  readonly key: string;
  readonly message: string;
}

interface Bounds {
  readonly low: number;
  readonly high: number;
  readonly lowExclusive?: boolean;
}

/** A real number within [low, high], or (low, high] with `lowExclusive`. */
export const floatSetting = (defaultValue: number, bounds: Bounds, about: string): NumberSpec<number> => ({
  kind: 'float',
  lowExclusive: false,
  ...bounds,
  default: defaultValue,
  about,
});

/** A whole number within [low, high]. */
export const intSetting = (defaultValue: number, bounds: Bounds, about: string): NumberSpec<number> => ({
  kind: 'int',
  lowExclusive: false,
  ...bounds,
  default: defaultValue,
  about,
});

/** A whole number within [low, high], or null ("none"), which is also the default. */
export const optionalIntSetting = (bounds: Bounds, about: string): NumberSpec<number | null> => ({
  kind: 'int',
  lowExclusive: false,
  ...bounds,
  default: null,
  about,
});

/** True or false. */
export const boolSetting = (defaultValue: boolean, about: string): BooleanSpec => ({
  kind: 'bool',
  default: defaultValue,
  about,
});

/** One of a fixed list of words; the first is the default. */
export const choiceSetting = <const C extends string>(
  choices: readonly [C, ...C[]],
  about: string,
): ChoiceSpec<C> => ({ kind: 'choice', choices, default: choices[0], about });

/** What a legal value of this setting looks like, for messages and documents: `an integer from 1 to 10`. */
export function describeSetting(spec: SettingSpec): string {
  switch (spec.kind) {
    case 'bool':
      return 'true or false';
    case 'choice':
      return `one of ${spec.choices.join(', ')}`;
    case 'float':
    case 'int': {
      const what = spec.kind === 'int' ? 'an integer' : 'a number';
      const from = spec.lowExclusive ? `above ${spec.low} and up to` : `from ${spec.low} to`;
      return `${what} ${from} ${spec.high}${spec.default === null ? ', or null' : ''}`;
    }
  }
}

/** Whether `value` is legal for `spec`. */
export function isLegalSetting(spec: SettingSpec, value: unknown): boolean {
  switch (spec.kind) {
    case 'bool':
      return typeof value === 'boolean';
    case 'choice':
      return typeof value === 'string' && spec.choices.includes(value);
    case 'float':
    case 'int': {
      if (value === null) return spec.default === null;
      if (typeof value !== 'number' || !Number.isFinite(value)) return false;
      if (spec.kind === 'int' && !Number.isInteger(value)) return false;
      return value <= spec.high && (spec.lowExclusive ? value > spec.low : value >= spec.low);
    }
  }
}

/** Checks one value; null when it is legal, otherwise a message with what would be right. */
export function checkSetting(specs: SettingSpecs, key: string, value: unknown): string | null {
  const spec = Object.hasOwn(specs, key) ? specs[key] : undefined;
  if (spec === undefined) return unknownKeyMessage(specs, key);
  return isLegalSetting(spec, value)
    ? null
    : `must be ${describeSetting(spec)}, but is ${JSON.stringify(value)} (${spec.about})`;
}

const squeeze = (key: string): string => key.toLowerCase().replaceAll(/[_\-\s]/g, '');

/** Edit distance, for "did you mean". Keys are short, so the quadratic table is fine. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const substitution = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(substitution, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}

function unknownKeyMessage(specs: SettingSpecs, key: string): string {
  const known = Object.keys(specs);
  const ranked = known
    .map((name) => ({ name, distance: editDistance(squeeze(name), squeeze(key)) }))
    .sort((a, b) => a.distance - b.distance);
  const nearest = ranked[0];
  const close = nearest !== undefined && nearest.distance <= Math.max(2, Math.floor(key.length / 3));
  return close ? `unknown key; did you mean ${nearest.name}?` : `unknown key; known are ${known.join(', ')}`;
}

/** `hermite_maps_a` → `hermiteMapsA`. */
export const camelKey = (key: string): string =>
  key.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/**
 * Reads `record` against `specs`: unknown keys, wrong types and values out of range are all collected. `defaults` replaces
 * single defaults (a profile). Values are complete even when there are problems, so that callers can go on checking.
 */
export function parseSettings<S extends SettingSpecs>(
  specs: S,
  record: SettingRecord,
  defaults: SettingRecord = {},
): { readonly values: ValuesOf<S>; readonly problems: readonly SettingProblem[] } {
  const problems: SettingProblem[] = [];
  const values: Record<string, unknown> = {};
  for (const [key, spec] of Object.entries(specs)) {
    values[camelKey(key)] = Object.hasOwn(defaults, key) ? defaults[key] : spec.default;
  }
  for (const [key, value] of Object.entries(record)) {
    const message = checkSetting(specs, key, value);
    if (message === null) values[camelKey(key)] = value;
    else problems.push({ key, message });
  }
  // The loop above filled every key of `specs` with a value its spec allows; the compiler cannot see that.
  return { values: values as ValuesOf<S>, problems };
}
