type Numbers = ArrayLike<number>;

/** The comparison that came nearest to its tolerance, or went furthest beyond. */
export interface WorstDeviation {
  /** Deviation divided by tolerance; 0 for an exact match, infinite where the wrong thing is NaN, missing or different. */
  readonly ratio: number;
  /** What was compared. */
  readonly where: string;
  /** `got …, not …`, for people. */
  readonly detail: string;
}

/** The largest absolute value; 0 for none. */
export const largestOf = (values: readonly number[]): number =>
  values.reduce((size, value) => Math.max(size, Math.abs(value)), 0);

const show = (value: unknown): string =>
  typeof value === 'number' || value === undefined ? String(value) : JSON.stringify(value).slice(0, 80);

/** Compares our figures with golden ones and keeps the worst. NaN equals NaN, infinities equal themselves. */
export class Deviations {
  #worst: WorstDeviation = { ratio: 0, where: '', detail: '' };
  #compared = 0;

  get worst(): WorstDeviation {
    return this.#worst;
  }

  /** Figures compared so far. */
  get compared(): number {
    return this.#compared;
  }

  /** |actual − expected| ≤ tolerance. */
  absolute(where: string, actual: number | undefined, expected: number, tolerance: number): void {
    const found = actual ?? NaN;
    const same = Object.is(found, expected) || found === expected;
    const ratio = same ? 0 : Math.abs(found - expected) / tolerance;
    this.#add(Number.isNaN(ratio) ? Infinity : ratio, where, [actual, expected]);
  }

  /** Absolute below 1, relative above. */
  near(where: string, actual: number | undefined, expected: number, tolerance: number): void {
    const size = Number.isFinite(expected) ? Math.max(1, Math.abs(expected)) : 1;
    this.absolute(where, actual, expected, tolerance * size);
  }

  /** `near` for every entry; the lengths must agree. */
  allNear(where: string, actual: Numbers, expected: readonly number[], tolerance: number): void {
    if (!this.same(`${where}: length`, actual.length, expected.length)) return;
    expected.forEach((value, i) => this.near(`${where}[${i}]`, actual[i], value, tolerance));
  }

  /** `absolute` for every entry; the lengths must agree. */
  allWithin(where: string, actual: Numbers, expected: readonly number[], tolerance: number): void {
    if (!this.same(`${where}: length`, actual.length, expected.length)) return;
    expected.forEach((value, i) => this.absolute(`${where}[${i}]`, actual[i], value, tolerance));
  }

  /** Every entry within `tolerance` times the largest entry expected. */
  allOfLargest(where: string, actual: Numbers, expected: readonly number[], tolerance: number): void {
    this.allWithin(where, actual, expected, tolerance * (largestOf(expected) || 1));
  }

  /** Exactly the same; says whether it is. Values are compared as JSON. */
  same(where: string, actual: unknown, expected: unknown): boolean {
    const equal = JSON.stringify(actual) === JSON.stringify(expected);
    this.#add(equal ? 0 : Infinity, where, [actual, expected]);
    return equal;
  }

  #add(ratio: number, where: string, [actual, expected]: readonly [unknown, unknown]): void {
    this.#compared += 1;
    if (ratio < this.#worst.ratio || (ratio === this.#worst.ratio && this.#worst.where !== '')) return;
    this.#worst = { ratio, where, detail: `got ${show(actual)}, not ${show(expected)}` };
  }
}
