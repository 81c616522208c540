import type { DatasetHash } from '../../../shared/core/ids.js';
import { canonicalDataset, canonicalText, looksLikeHash } from '../canonical.js';
import type { DatasetRecord } from '../port.js';

interface StoredDataset {
  readonly record: DatasetRecord;
  readonly chunks: readonly Uint8Array[];
}

/** Data sets by hash, and the hash that each name was last given to. */
export class MemoryDatasets {
  readonly #byHash = new Map<DatasetHash, StoredDataset>();
  readonly #newestByName = new Map<string, DatasetHash>();

  put(dataset: DatasetRecord, chunks: Iterable<Uint8Array>): void {
    const record = canonicalDataset(dataset);
    const known = this.#byHash.get(record.hash);
    const stored =
      known === undefined
        ? { record, chunks: Array.from(chunks, (chunk) => Uint8Array.from(chunk)) }
        : { ...known, record: Object.freeze({ ...known.record, name: record.name }) };
    this.#byHash.set(record.hash, stored);
    this.#newestByName.set(record.name, record.hash);
  }

  find(nameOrHash: string): DatasetRecord | null {
    const text = canonicalText(nameOrHash);
    const all = [...this.#byHash.values()].map(({ record }) => record);
    const exact = all.find(({ hash }) => hash === text);
    if (exact !== undefined) return exact;
    const named = this.#newestByName.get(text);
    if (named !== undefined) return this.#byHash.get(named)?.record ?? null;
    const [first, ...others] = looksLikeHash(text) ? all.filter(({ hash }) => hash.startsWith(text)) : [];
    return others.length === 0 ? (first ?? null) : null;
  }

  /** In the order in which they were first stored. */
  list(): readonly DatasetRecord[] {
    return [...this.#byHash.values()].map(({ record }) => record);
  }

  async *read(hash: DatasetHash): AsyncIterable<Uint8Array> {
    for (const chunk of this.#byHash.get(hash)?.chunks ?? []) yield await Promise.resolve(chunk.slice());
  }
}
