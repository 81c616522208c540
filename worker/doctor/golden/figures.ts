/** Reads the figures of a golden file, of which nothing is certain but that it is JSON. */

/** A golden file lacks something or holds something else; the message names the place. */
export class GoldenFormatError extends Error {
  override readonly name = 'GoldenFormatError';
}

export interface GoldenTensor {
  readonly shape: readonly number[];
  /** Row-major. */
  readonly data: readonly number[];
}

const words: Readonly<Record<string, number>> = { NaN: NaN, Infinity: Infinity, '-Infinity': -Infinity };

type Json = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A value in a golden file with the way to it. `null` reads as NaN (see the README of the figures). */
export class Figures {
  readonly value: unknown;
  readonly path: string;

  constructor(value: unknown, path: string) {
    this.value = value;
    this.path = path;
  }

  /** The value under a key, or null where there is none. */
  find(key: string): Figures | null {
    if (!isObject(this.value) || !Object.hasOwn(this.value, key)) return null;
    return new Figures(this.value[key], this.path === '' ? key : `${this.path}.${key}`);
  }

  /** The value under a key; throws `GoldenFormatError` where there is none. */
  get(key: string): Figures {
    return this.find(key) ?? this.#wrong(`has no '${key}'`);
  }

  has(key: string): boolean {
    return this.find(key) !== null;
  }

  keys(): readonly string[] {
    return isObject(this.value) ? Object.keys(this.value) : this.#wrong('is not an object');
  }

  /** The entries of a list. */
  list(): Figures[] {
    if (!Array.isArray(this.value)) return this.#wrong('is not a list');
    return this.value.map((entry, index) => new Figures(entry, `${this.path}[${index}]`));
  }

  /** The entry of a list; throws `GoldenFormatError` where it ends before. */
  at(index: number): Figures {
    return this.list()[index] ?? this.#wrong(`has no entry ${index}`);
  }

  /** The entries of the list under a key; none where the key is missing. */
  listAt(key: string): Figures[] {
    return this.find(key)?.list() ?? [];
  }

  number(): number {
    if (this.value === null) return NaN;
    if (typeof this.value === 'number') return this.value;
    const word = typeof this.value === 'string' ? words[this.value] : undefined;
    return word ?? this.#wrong('is not a number');
  }

  numbers(): number[] {
    return this.list().map((entry) => entry.number());
  }

  text(): string {
    return typeof this.value === 'string' ? this.value : this.#wrong('is not a text');
  }

  flag(): boolean {
    return typeof this.value === 'boolean' ? this.value : this.#wrong('is neither true nor false');
  }

  /** One of some words. */
  choice<const C extends string>(choices: readonly C[]): C {
    return (
      choices.find((known) => known === this.value) ?? this.#wrong(`is not one of ${choices.join(', ')}`)
    );
  }

  /** A pair `[from, to]`, half open. */
  range(): { readonly from: number; readonly to: number } {
    const [from, to, ...others] = this.numbers();
    if (from === undefined || to === undefined || others.length > 0)
      return this.#wrong('is not a pair [from, to]');
    return { from, to };
  }

  tensor(): GoldenTensor {
    const shape = this.get('shape').numbers();
    const data = this.get('data').numbers();
    if (shape.reduce((size, extent) => size * extent, 1) !== data.length)
      return this.#wrong(`holds ${data.length} entries for the shape ${shape.join('×')}`);
    return { shape, data };
  }

  #wrong(what: string): never {
    throw new GoldenFormatError(`${this.path === '' ? 'the file' : this.path} ${what}`);
  }
}
