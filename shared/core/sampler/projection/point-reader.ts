/** Reads the internal values of a space's parameters out of a trial's params, many thousand times a second. */
import { toInternal } from '../../space/parameter-values.js';
import type { Parameter, Params, ParameterValue, Space } from '../../space/parameter.js';
import { internalValue, valueOf } from '../trial-parameters.js';

interface Reader {
  readonly parameter: Parameter;
  /** Index of every choice met so far; what equals a choice without being it is found the slow way. */
  readonly known: Map<ParameterValue, number> | null;
}

export class PointReader {
  readonly #readers: readonly Reader[];
  /** What was read from params before: running trials come again with every suggestion. */
  readonly #points = new WeakMap<Params, Float64Array>();

  constructor(space: Space) {
    this.#readers = space.map((parameter) => ({
      parameter,
      known: parameter.kind === 'categorical' ? new Map() : null,
    }));
  }

  /**
   * The internal values in space order, or null when the trial lacks a parameter. Throws a `SamplerError` that names
   * `trial <number>` for a value its parameter could not have. Params must not change once they have been read.
   */
  read(params: Params, number: number): Float64Array | null {
    const read = this.#points.get(params);
    if (read !== undefined) return read;
    const point = new Float64Array(this.#readers.length);
    for (let i = 0; i < point.length; i++) {
      const reader = this.#readers[i];
      if (reader === undefined) continue;
      const value = valueOf(params, reader.parameter.name);
      if (value === undefined) return null;
      point[i] = this.#internal(reader, value, number);
    }
    this.#points.set(params, point);
    return point;
  }

  #internal({ parameter, known }: Reader, value: ParameterValue, number: number): number {
    const internal = known === null ? toInternal(parameter, value) : known.get(value);
    if (internal !== undefined && internal !== null) return internal;
    const found = internalValue(parameter, value, `trial ${number}`);
    known?.set(value, found);
    return found;
  }
}
