import type { WorkerId } from '../../shared/core/ids.js';
import type { Clock } from '../../shared/platform/clock.js';
import type { Storage, WorkerRecord } from '../storage/port.js';
import { Batcher } from './batcher.js';

/** A worker's record is read again after this long, ms: what it says of its GPU does not change while the worker lives. */
const knownMs = 60_000;
/** Records kept at most. */
const knownMax = 20_000;
const workersPerRead = 500;

/** Workers as they registered, so that not every ask has to read its worker. A cache. */
export class KnownWorkers {
  readonly #clock: Clock;
  readonly #known = new Map<WorkerId, { readonly record: WorkerRecord; readonly readAtMs: number }>();
  readonly #reads: Batcher<WorkerId, WorkerRecord | null>;

  constructor(storage: Storage, clock: Clock) {
    this.#clock = clock;
    this.#reads = new Batcher(
      async (ids) => {
        const found = new Map((await storage.findWorkers(ids)).map((record) => [record.id, record]));
        return ids.map((id) => found.get(id) ?? null);
      },
      { sizeMax: workersPerRead },
    );
  }

  /** The worker as it registered; null when no replica ever heard of it. */
  async find(id: WorkerId): Promise<WorkerRecord | null> {
    const known = this.#known.get(id);
    if (known !== undefined && Math.abs(this.#clock.nowMs() - known.readAtMs) < knownMs) return known.record;
    const record = await this.#reads.load(id);
    if (record === null) this.#known.delete(id);
    else this.put(record);
    return record;
  }

  put(record: WorkerRecord): void {
    if (this.#known.size >= knownMax) this.#known.clear();
    this.#known.set(record.id, { record, readAtMs: this.#clock.nowMs() });
  }
}
