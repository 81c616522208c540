import type { CompiledStep, PeakMemory } from '../runtime.js';

/**
 * The peak of the buffers on the device, looked at after every step and whenever the device is asked for errors. Buffers that
 * are free for reuse count: the device has no room for others there. What a driver takes beside them is not known.
 */
export class PeakBuffers implements PeakMemory {
  readonly #bytes: () => number;
  #peak = 0;

  constructor(bytes: () => number) {
    this.#bytes = bytes;
  }

  look(): void {
    this.#peak = Math.max(this.#peak, this.#bytes());
  }

  reset(): void {
    this.#peak = this.#bytes();
  }

  read(): number {
    this.look();
    return this.#peak;
  }

  /** The step, with a look after every call. */
  watched(step: CompiledStep): CompiledStep {
    const run = (inputs: Parameters<CompiledStep>[0]): ReturnType<CompiledStep> => {
      const results = step(inputs);
      this.look();
      return results;
    };
    return Object.assign(run, { release: () => step.release() });
  }
}
