/**
 * Takes typed values out of YAML nodes. Every mistake goes to the problem list with its place, and reading goes on with a
 * stand-in value, so that one pass finds them all. A key that nobody asked for is a mistake too.
 */
import { isAlias, isMap, isScalar, isSeq, type Document, type Node, type YAMLMap } from 'yaml';
import type { ParameterValue } from '../../shared/core/space/parameter.js';
import { didYouMean } from './did-you-mean.js';
import { studyFileLimits } from './limits.js';
import type { Place, ProblemList } from './problems.js';

/** What reading needs everywhere. */
export interface ReadContext {
  readonly document: Document;
  readonly problems: ProblemList;
}

/** A value of the file with its place. `node` is null for a key without a value. */
export interface Located {
  readonly node: Node | null;
  readonly place: Place;
}

export interface NumberBounds {
  readonly low?: number;
  readonly high?: number;
  /** The value must lie above `low`, not on it. */
  readonly lowExclusive?: boolean;
  readonly whole?: boolean;
}

/** The node that a value stands for, aliases followed. */
export function resolved(context: ReadContext, node: unknown): Node | null {
  if (isAlias(node)) return node.resolve(context.document) ?? null;
  return isScalar(node) || isMap(node) || isSeq(node) ? node : null;
}

/** A value in words, for messages. */
export function shown({ node }: Located): string {
  if (node === null) return 'empty';
  if (isMap(node)) return 'a map';
  if (isSeq(node)) return 'a list';
  if (!isScalar(node)) return 'something else';
  const { value } = node;
  if (value === null) return 'empty';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string') return 'something else';
  const cut = value.length > 40 ? `${value.slice(0, 40)}…` : value;
  return `the text ${JSON.stringify(cut)}`;
}

export class MapReader {
  readonly place: Place;
  private readonly context: ReadContext;
  private readonly entries = new Map<string, Located & { readonly keyPlace: Place }>();
  private readonly asked = new Set<string>();

  constructor(context: ReadContext, map: YAMLMap, place: Place) {
    this.context = context;
    this.place = place;
    for (const pair of map.items) this.enter(pair.key, pair.value);
  }

  private enter(key: unknown, value: unknown): void {
    const { problems } = this.context;
    const offset = offsetOf(key) ?? this.place.offset;
    if (!isScalar(key) || typeof key.value !== 'string') {
      problems.add({ offset, path: this.place.path }, 'a key is not a text; write plain names as keys');
      return;
    }
    const keyPlace = { offset, path: childPath(this.place.path, key.value) };
    if (this.entries.has(key.value)) {
      problems.add(keyPlace, 'is given twice; keep one of them');
      return;
    }
    const place = { offset: offsetOf(value) ?? offset, path: keyPlace.path };
    this.entries.set(key.value, { node: resolved(this.context, value), place, keyPlace });
  }

  /** The keys in the order of the file. */
  keys(): string[] {
    return [...this.entries.keys()];
  }

  /** Whether the key is there with a value. Does not count as asking for it. */
  has(key: string): boolean {
    return this.entries.has(key);
  }

  /** The value of a key; null when the key is missing. */
  find(key: string): Located | null {
    this.asked.add(key);
    return this.entries.get(key) ?? null;
  }

  /** The value of a key that must be there; null, with a problem, when it is missing. `wanted` says what it should be. */
  require(key: string, wanted: string): Located | null {
    const value = this.find(key);
    if (value === null) this.context.problems.add(this.place, `${key} is missing; expected ${wanted}`);
    return value;
  }

  number(key: string, bounds: NumberBounds, fallback: number): number {
    const value = this.find(key);
    return value === null ? fallback : (readNumber(this.context, value, bounds) ?? fallback);
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.find(key);
    if (value === null) return fallback;
    if (isScalar(value.node) && typeof value.node.value === 'boolean') return value.node.value;
    this.context.problems.add(value.place, `is ${shown(value)}, expected true or false`);
    return fallback;
  }

  word<W extends string>(key: string, words: readonly W[], fallback: W): W {
    const value = this.find(key);
    return value === null ? fallback : (readWord(this.context, value, words) ?? fallback);
  }

  /** The map under a key; null when it is missing, or, with a problem, when it is something else. */
  section(key: string): MapReader | null {
    const value = this.find(key);
    return value === null ? null : readMap(this.context, value);
  }

  /** Reports every key that was not asked for. `remark` explains a key that is known elsewhere. */
  finish(remark: (key: string) => string | null = () => null): void {
    const unknown = [...this.entries].filter(([key]) => !this.asked.has(key));
    unknown.forEach(([key, { keyPlace }], index) => {
      // Beyond what is shown, the remedy need not be found: for tens of thousands of keys that takes minutes.
      const message =
        index < studyFileLimits.problemsMax ? (remark(key) ?? unknownKey(key, this.asked)) : 'unknown key';
      this.context.problems.add(keyPlace, message);
    });
  }
}

const unknownKey = (key: string, known: ReadonlySet<string>): string => {
  if (key === '<<') return 'maps are not merged here (YAML 1.2 has no <<); write the keys out';
  const meant = didYouMean(key, known);
  const hint = meant === null ? `known keys are ${[...known].join(', ')}` : `did you mean ${meant}?`;
  return `unknown key; ${hint}`;
};

/** A map reader over a value that must be a map; null, with a problem, otherwise. */
export function readMap(context: ReadContext, value: Located): MapReader | null {
  if (isMap(value.node)) return new MapReader(context, value.node, value.place);
  context.problems.add(value.place, `is ${shown(value)}, expected a map of keys and values`);
  return null;
}

/** The items of a value that must be a list of at most `itemsMax`; null, with a problem, otherwise. */
export function readList(context: ReadContext, value: Located, itemsMax: number): Located[] | null {
  if (!isSeq(value.node)) {
    context.problems.add(value.place, `is ${shown(value)}, expected a list`);
    return null;
  }
  if (value.node.items.length > itemsMax) {
    context.problems.add(
      value.place,
      `has ${value.node.items.length} entries, at most ${itemsMax} are allowed`,
    );
    return null;
  }
  return value.node.items.map((item, index) => ({
    node: resolved(context, item),
    place: { offset: offsetOf(item) ?? value.place.offset, path: `${value.place.path}[${index}]` },
  }));
}

/** A finite number within bounds; null, with a problem, otherwise. */
export function readNumber(context: ReadContext, value: Located, bounds: NumberBounds): number | null {
  const number = isScalar(value.node) && typeof value.node.value === 'number' ? value.node.value : Number.NaN;
  const { low = -Infinity, high = Infinity, lowExclusive = false, whole = false } = bounds;
  const fits =
    Number.isFinite(number) &&
    (!whole || Number.isSafeInteger(number)) &&
    (lowExclusive ? number > low : number >= low) &&
    number <= high;
  if (fits) return unsigned(number);
  const quoted =
    isScalar(value.node) && typeof value.node.value === 'string' && isNumberText(value.node.value)
      ? ' (without quotes)'
      : '';
  context.problems.add(value.place, `is ${shown(value)}, expected ${numberText(bounds)}${quoted}`);
  return null;
}

/** Zero has no sign here: JSON, in which studies are stored, has only one. */
const unsigned = (number: number): number => (number === 0 ? 0 : number);

const isNumberText = (text: string): boolean => text.trim() !== '' && Number.isFinite(Number(text));

function numberText({ low, high, lowExclusive, whole }: NumberBounds): string {
  const noun = whole === true ? 'a whole number' : 'a finite number';
  const from = low === undefined ? '' : lowExclusive === true ? ` above ${low}` : ` from ${low}`;
  if (high === undefined) return noun + (lowExclusive === true || low === undefined ? from : `${from} up`);
  return `${noun}${from}${from === '' ? ' up' : ''} to ${high}`;
}

/** One of a list of words; null, with a problem and a suggestion, otherwise. */
export function readWord<W extends string>(
  context: ReadContext,
  value: Located,
  words: readonly W[],
): W | null {
  const text = isScalar(value.node) ? value.node.value : null;
  const found = words.find((word) => word === text);
  if (found !== undefined) return found;
  const meant = typeof text === 'string' ? didYouMean(text, words) : null;
  const hint = meant === null ? '' : `; did you mean ${meant}?`;
  context.problems.add(value.place, `is ${shown(value)}, expected one of ${words.join(', ')}${hint}`);
  return null;
}

/** A text that matches `pattern`; null, with a problem saying what is `wanted`, otherwise. */
export function readText(
  context: ReadContext,
  value: Located,
  { pattern, wanted }: { readonly pattern: RegExp; readonly wanted: string },
): string | null {
  const text = isScalar(value.node) ? value.node.value : null;
  if (typeof text === 'string' && text.length <= studyFileLimits.textLengthMax && pattern.test(text))
    return text;
  context.problems.add(value.place, `is ${shown(value)}, expected ${wanted}`);
  return null;
}

/** A parameter value: a finite number, a text, true, false or null. Undefined, with a problem, otherwise. */
export function readValue(context: ReadContext, value: Located): ParameterValue | undefined {
  const { node, place } = value;
  const plain: unknown = isScalar(node) ? node.value : node === null ? null : undefined;
  if (plain === null || typeof plain === 'boolean') return plain;
  if (typeof plain === 'number' && Number.isFinite(plain)) return unsigned(plain);
  if (typeof plain === 'string' && plain.length <= studyFileLimits.textLengthMax) return plain;
  context.problems.add(place, `is ${shown(value)}, expected a finite number, a text, true, false or null`);
  return undefined;
}

const offsetOf = (node: unknown): number | null => {
  if (!isScalar(node) && !isMap(node) && !isSeq(node) && !isAlias(node)) return null;
  return node.range?.[0] ?? null;
};

/** `a.b`; a key that is no plain name is quoted, so that a path stays one word. */
const childPath = (parent: string, key: string): string => {
  const plain = /^[\w.-]{1,100}$/.test(key) ? key : JSON.stringify(key.slice(0, 40));
  return parent === '' ? plain : `${parent}.${plain}`;
};
