import type { DatasetHash } from '../../../shared/core/ids.js';
import type { DatasetView } from '../../../shared/core/study/study.js';

/** A stored data set; `name` is the newest under which it was stored. */
export type DatasetRecord = DatasetView;

export interface DatasetStore {
  /** Stores a data set's canonical bytes, chunk by chunk in one transaction; a known hash only takes the new name. */
  putDataset(dataset: DatasetRecord, chunks: Iterable<Uint8Array>): Promise<void>;
  /** By exact hash, by name (newest under that name), or by a hash prefix of at least 8 digits that is unique. */
  findDataset(nameOrHash: string): Promise<DatasetRecord | null>;
  listDatasets(): Promise<readonly DatasetRecord[]>;
  /** The chunks of a data set in order; empty when the hash is unknown. */
  readDataset(hash: DatasetHash): AsyncIterable<Uint8Array>;
}
