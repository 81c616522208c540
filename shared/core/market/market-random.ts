/**
 * A small seeded generator for synthetic markets: sfc32 (Chris Doty-Humphrey's "Small Fast Counting" generator, 128 bits
 * of state, period at least 2³²). It is apart from the sampler's generator on purpose: a market must not change
 * because the sampler's stream does, or the other way round.
 */
export interface MarketRandom {
  /** Uniform on (0, 1), never 0 or 1: a logarithm of it is finite. */
  uniform(): number;
  /** Standard normal. */
  normal(): number;
  /** Student's t with six degrees of freedom, scaled to variance 1: fat tails, kurtosis 6. */
  fatTailed(): number;
}

/** A generator whose stream depends on `seed` alone; `seed` is taken modulo 2³². */
export function makeMarketRandom(seed: number): MarketRandom {
  let a = seed >>> 0;
  let b = 0x9e3779b9;
  let c = 0x243f6a88;
  let counter = 1;
  const next = (): number => {
    const sum = (a + b + counter) >>> 0;
    counter = (counter + 1) >>> 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) >>> 0;
    c = (((c << 21) | (c >>> 11)) + sum) >>> 0;
    return sum;
  };
  // Neighbouring seeds start in neighbouring states; these rounds drive them apart.
  for (let i = 0; i < 20; i++) next();

  const uniform = (): number => (next() + 0.5) / 2 ** 32;
  // Box-Muller, the second normal of each pair unused: simplicity over speed.
  const normal = (): number => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  const fatTailed = (): number => {
    // t₆ = normal / √(χ²₆ / 6), and χ²₆ = −2 ln(u₁u₂u₃). Its variance is 6/4, hence the factor √(4/6).
    const chiSquare = -2 * Math.log(uniform() * uniform() * uniform());
    return (normal() / Math.sqrt(chiSquare / 6)) * Math.sqrt(4 / 6);
  };
  return { uniform, normal, fatTailed };
}
