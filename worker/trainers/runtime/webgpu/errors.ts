/**
 * Errors of a GPU are late and silent: WebGPU reports them as events, and whatever is computed after one is wrong without a
 * sign (runtimes.md §5). Here the first of them poisons the runtime for good: every later look at it throws.
 */
import { outOfMemorySign } from '../../../gpu/out-of-memory.js';
import type { RuntimeFailure } from '../runtime.js';

/** An error of the device, whenever it was noticed. */
export class GpuError extends Error {
  override readonly name = 'GpuError';
  readonly failure: RuntimeFailure;

  constructor(failure: RuntimeFailure, message: string) {
    super(message);
    this.failure = failure;
  }
}

const allocationTexts =
  /exceeds the max (buffer|storage buffer binding) size|is too large for the implementation|larger than the maximum (storage buffer )?binding size/i;
const lostTexts =
  /device (is|was) lost|DEVICE_LOST|lost device|A valid external Instance reference no longer exists/i;

/** The failure that a text of Dawn or a driver speaks of. */
function failureOf(text: string): RuntimeFailure {
  if (allocationTexts.test(text) || outOfMemorySign(text) !== null) return 'oom';
  return lostTexts.test(text) ? 'lost' : 'other';
}

/** Classifies what is thrown around the webgpu runtime. */
export function classifyWebgpuError(error: unknown): RuntimeFailure {
  if (error instanceof GpuError) return error.failure;
  if (!(error instanceof Error)) return 'other';
  return failureOf(`${error.name}: ${error.message}`);
}

/** What a device reports; `GPUError` has no common base under Node. */
interface ReportedError {
  readonly message: string;
  readonly constructor: { readonly name: string };
}

/** Keeps the first complaint of a device. */
export class Poison {
  #first: GpuError | null = null;
  readonly #pending = new Set<Promise<unknown>>();

  /** Null while all is well. */
  get error(): GpuError | null {
    return this.#first;
  }

  add(error: GpuError): void {
    this.#first ??= error;
  }

  /** An error event or the result of an error scope. */
  report(error: ReportedError, where = ''): void {
    const text = `${error.constructor.name}${where}: ${error.message}`;
    this.add(new GpuError(failureOf(text), text));
  }

  /** A promise whose outcome decides whether all is well. */
  await(promise: Promise<unknown>): void {
    const settled = promise.catch((error: unknown) => {
      this.add(
        new GpuError(classifyWebgpuError(error), error instanceof Error ? error.message : String(error)),
      );
    });
    this.#pending.add(settled);
    void settled.then(() => this.#pending.delete(settled));
  }

  async settle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  /** Throws the first complaint. */
  check(): void {
    if (this.#first !== null) throw this.#first;
  }
}

/** Listens to a device from its first moment. A lost device is a crash of driver or hardware, not a lack of memory. */
export function watchDevice(device: GPUDevice, poison: Poison): void {
  device.addEventListener('uncapturederror', (event) => {
    poison.report((event as GPUUncapturedErrorEvent).error);
  });
  void device.lost.then(({ reason, message }) => {
    // We destroy a device only when the process is about to end.
    if (reason !== 'destroyed') poison.add(new GpuError('lost', `the GPU device was lost: ${message}`));
  });
}
