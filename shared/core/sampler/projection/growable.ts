/** Typed arrays that grow by doubling, so that adding one entry costs constant time on average. */
type Growable =
  Float64Array<ArrayBuffer> | Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;

/** The array itself when it has `length` entries, otherwise a copy with at least that many; new entries are 0. */
export function grown<A extends Growable>(array: A, length: number): A;
export function grown(array: Growable, length: number): Growable {
  if (length <= array.length) return array;
  const capacity = Math.max(length, 2 * array.length, 16);
  if (array instanceof Float64Array) return copied(array, new Float64Array(capacity));
  if (array instanceof Float32Array) return copied(array, new Float32Array(capacity));
  if (array instanceof Uint32Array) return copied(array, new Uint32Array(capacity));
  return copied(array, new Uint8Array(capacity));
}

function copied<A extends Growable>(from: A, to: A): A {
  to.set(from);
  return to;
}

/** Puts `value` at `position` of the first `length` entries, moving the later ones up by one. */
export function inserted(
  array: Uint32Array<ArrayBuffer>,
  length: number,
  position: number,
  value: number,
): Uint32Array<ArrayBuffer> {
  const result = grown(array, length + 1);
  if (position < length) result.copyWithin(position + 1, position, length);
  result[position] = value;
  return result;
}

/** First position in [0, length) at which `isAfter` holds, or `length`; it must be false, then true. */
export function firstWhere(length: number, isAfter: (position: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isAfter(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
