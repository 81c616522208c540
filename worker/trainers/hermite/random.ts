/**
 * The trainer's own random numbers: xoshiro128** (Blackman and Vigna), fast enough for dropout masks. The stream is a
 * pure function of its seed words, so a trial can be trained again.
 */
export interface Random {
  /** Uniform 32-bit integer, 0 ≤ x < 2³². */
  readonly word: () => number;
  /** Uniform on [0, 1) with 32 bits. */
  readonly uniform: () => number;
  /** Standard normal. */
  readonly normal: () => number;
}

/** The SplitMix32 finaliser: spreads neighbouring seeds over all bits. */
function mix(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

const rotate = (x: number, bits: number): number => (x << bits) | (x >>> (32 - bits));

/** A generator for the stream named by the words, e.g. (trial seed, fold, replicate, purpose). */
export function createRandom(...seedWords: readonly number[]): Random {
  let hash = 0x9e3779b9;
  for (const word of seedWords) hash = mix(Math.imul(hash, 31) + mix(word) + 0x6d2b79f5);
  const next = (): number => {
    hash = (hash + 0x9e3779b9) >>> 0;
    return mix(hash);
  };
  // Four numbers, not a list: dropout draws tens of thousands of words a step. xoshiro must not start at all zeros; the last
  // word is odd.
  let [a, b, c, d] = [next() | 0, next() | 0, next() | 0, next() | 1];

  const word = (): number => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const mixedC = c ^ a;
    const mixedD = d ^ b;
    c = mixedC ^ (b << 9);
    a ^= mixedD;
    b ^= mixedC;
    d = rotate(mixedD, 11);
    return result;
  };
  const uniform = (): number => word() / 2 ** 32;
  /** Box–Muller; one value per call keeps the stream simple. */
  const normal = (): number =>
    Math.sqrt(-2 * Math.log((word() + 1) / 2 ** 32)) * Math.cos(2 * Math.PI * uniform());
  return { word, uniform, normal };
}

/** Shuffles in place (Fisher–Yates). */
export function shuffle(items: Int32Array, random: Random): void {
  for (let i = items.length - 1; i > 0; i -= 1) {
    const j = Math.floor(random.uniform() * (i + 1));
    const held = items[i] ?? 0;
    items[i] = items[j] ?? 0;
    items[j] = held;
  }
}

/** Fills `mask` for inverted dropout: 1/(1−rate) with probability 1−rate, else 0. Two entries per random word. */
export function fillDropoutMask(mask: Float32Array, rate: number, random: Random): void {
  const threshold = Math.round(rate * 65536);
  const kept = 1 / (1 - rate);
  for (let i = 0; i < mask.length; i += 2) {
    const word = random.word();
    mask[i] = (word & 0xffff) < threshold ? 0 : kept;
    if (i + 1 < mask.length) mask[i + 1] = word >>> 16 < threshold ? 0 : kept;
  }
}
