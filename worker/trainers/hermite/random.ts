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
  /** The next words of the stream, as many as there is room for: what `word` would give, without its cost per call. */
  readonly fill: (words: Uint32Array) => void;
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
  const fill = (words: Uint32Array): void => {
    // Variables of this function stay in registers.
    let [p, q, r, s] = [a, b, c, d];
    for (let i = 0; i < words.length; i += 1) {
      words[i] = Math.imul(rotate(Math.imul(q, 5), 7), 9);
      const mixedR = r ^ p;
      const mixedS = s ^ q;
      r = mixedR ^ (q << 9);
      p ^= mixedS;
      q ^= mixedR;
      s = rotate(mixedS, 11);
    }
    [a, b, c, d] = [p, q, r, s];
  };
  const uniform = (): number => word() / 2 ** 32;
  /** Box–Muller; one value per call keeps the stream simple. */
  const normal = (): number =>
    Math.sqrt(-2 * Math.log((word() + 1) / 2 ** 32)) * Math.cos(2 * Math.PI * uniform());
  return { word, uniform, normal, fill };
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

/** Words that are drawn at a time for masks. */
const maskWords = new Uint32Array(1024);

/** Fills `mask` for inverted dropout: 1/(1−rate) with probability 1−rate, else 0. Two entries per random word. */
export function fillDropoutMask(mask: Float32Array, rate: number, random: Random): void {
  const threshold = Math.round(rate * 65536);
  // Chosen by index, not by a branch, which a processor cannot foresee.
  const entries = Float32Array.of(0, 1 / (1 - rate));
  const entryOf = (draw: number): number => entries[(threshold - 1 - draw) >>> 31] ?? NaN;
  for (let start = 0; start < mask.length; start += 2 * maskWords.length) {
    const words = maskWords.subarray(0, Math.min(maskWords.length, Math.ceil((mask.length - start) / 2)));
    random.fill(words);
    for (let i = 0; i < words.length; i += 1) {
      const word = words[i] ?? 0;
      const entry = start + 2 * i;
      mask[entry] = entryOf(word & 0xffff);
      // Past the end of an odd mask this is ignored.
      mask[entry + 1] = entryOf(word >>> 16);
    }
  }
}
