/**
 * The Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998), started from one 32-bit integer like NumPy's
 * RandomState. It makes Optuna an exact oracle: from the same seed both draw the same numbers (tpe.md §11).
 */
const stateLength = 624;
const shiftLength = 397;

/** Throws a `RangeError` unless `seed` is an integer with 0 ≤ seed < 2³². */
export function checkSeed(seed: number): void {
  if (Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32) return;
  throw new RangeError(`seed is ${seed}; it must be an integer from 0 to ${2 ** 32 - 1}`);
}

export class Mt19937 {
  readonly #state = new Uint32Array(stateLength);
  #position = stateLength;

  /** Throws a `RangeError` unless `seed` is an integer with 0 ≤ seed < 2³². */
  constructor(seed: number) {
    this.restart(seed);
  }

  /** Begins anew, as a fresh generator would. Throws a `RangeError` as the constructor does. */
  restart(seed: number): void {
    checkSeed(seed);
    this.#position = stateLength;
    let word = seed;
    this.#state[0] = word;
    for (let i = 1; i < stateLength; i++) {
      word = Math.imul(1812433253, word ^ (word >>> 30)) + i;
      this.#state[i] = word;
    }
  }

  /** The next output, an integer from 0 to 2³² − 1. */
  nextUint32(): number {
    if (this.#position === stateLength) this.#refill();
    let y = this.#state[this.#position++] ?? 0;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  }

  /** The next double in [0, 1): 53 bits made of two outputs. */
  nextDouble(): number {
    const high = this.nextUint32() >>> 5;
    const low = this.nextUint32() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** `count` doubles in the order in which they were drawn. */
  nextDoubles(count: number): Float64Array {
    const doubles = new Float64Array(count);
    for (let i = 0; i < count; i++) doubles[i] = this.nextDouble();
    return doubles;
  }

  #refill(): void {
    const state = this.#state;
    const twist = (i: number, next: number, far: number): void => {
      const y = ((state[i] ?? 0) & 0x80000000) | ((state[next] ?? 0) & 0x7fffffff);
      state[i] = (state[far] ?? 0) ^ (y >>> 1) ^ (-(y & 1) & 0x9908b0df);
    };
    for (let i = 0; i < stateLength - shiftLength; i++) twist(i, i + 1, i + shiftLength);
    for (let i = stateLength - shiftLength; i < stateLength - 1; i++) {
      twist(i, i + 1, i + shiftLength - stateLength);
    }
    twist(stateLength - 1, 0, shiftLength - 1);
    this.#position = 0;
  }
}

/**
 * The finaliser of MurmurHash3 (Appleby): a one-to-one map of 32-bit integers in which every input bit changes every
 * output bit with probability close to one half.
 */
function mix(value: number): number {
  let h = value >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * The seed of one trial's random stream, an integer from 0 to 2³² − 1, from the study's seed and the trial's number
 * (integers from 0 to 2³² − 1).
 *
 * `seed(n) = mix(mix(mix(n + 0x9e3779b9) ^ key₁) ^ key₂)`, with both keys hashed from the study's seed. For a given
 * study it is one-to-one in the number, so that no two trials share a stream; two keyed rounds keep the sequences of
 * two studies from being shifted copies of each other. Stored studies are verified by recomputing it: changing it
 * makes every stored suggestion unverifiable.
 */
export function trialSeed(studySeed: number, number: number): number {
  const firstKey = mix(studySeed ^ 0x2545f491);
  const secondKey = mix(firstKey + 0x6a09e667);
  return mix(mix(mix(number + 0x9e3779b9) ^ firstKey) ^ secondKey);
}
