/** The nearest integer, halves to the even one, as NumPy rounds (`Math.round` rounds halves up). */
export function roundHalfEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest < 0.5) return below;
  if (rest > 0.5) return below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/** `x` moved into [low, high]. */
export function clip(x: number, low: number, high: number): number {
  return Math.min(Math.max(x, low), high);
}

/** The double next to `x` on the way to `target`; both finite. */
export function nextAfter(x: number, target: number): number {
  if (x === target) return x;
  if (x === 0) return target > 0 ? Number.MIN_VALUE : -Number.MIN_VALUE;
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, x);
  // Doubles of one sign are ordered like their bit patterns, so the neighbour is one bit pattern away.
  const away = x > 0 === target > x;
  bits.setBigInt64(0, bits.getBigInt64(0) + (away ? 1n : -1n));
  return bits.getFloat64(0);
}
