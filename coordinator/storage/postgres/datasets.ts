import type { DatasetHash } from '../../../shared/core/ids.js';
import { canonicalDataset, canonicalText, looksLikeHash } from '../canonical.js';
import type { DatasetRecord } from '../port.js';
import type { Database } from './database.js';
import { execute, query } from './query.js';
import { decodeDataset, type DatasetRow } from './rows.js';
import * as statements from './statements/datasets.js';

/** `Storage.putDataset`: one transaction; chunks are taken one at a time, so memory holds one of them. */
export function putDataset(
  database: Database,
  dataset: DatasetRecord,
  chunks: Iterable<Uint8Array>,
): Promise<void> {
  const { hash, name, layout, rows, firstTimeMs, lastTimeMs, bytes, createdAtMs } = canonicalDataset(dataset);
  return database.transaction(async (client) => {
    // Another process may be storing the same data set: wait for it however long it takes.
    await client.query('set local lock_timeout = 0; set local statement_timeout = 0');
    const values = [hash, layout, rows, firstTimeMs, lastTimeMs, bytes, createdAtMs];
    const isNew = (await execute(client, statements.insertDataset, values)) > 0;
    let ordinal = 0;
    if (isNew)
      for (const chunk of chunks) {
        const content = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
        await execute(client, statements.insertChunk, [hash, ordinal, content]);
        ordinal += 1;
      }
    await execute(client, statements.nameDataset, [name, hash]);
  });
}

export async function findDataset(database: Database, nameOrHash: string): Promise<DatasetRecord | null> {
  const text = canonicalText(nameOrHash);
  const [row] = await database.repeatable('statements', (pool) =>
    query<DatasetRow>(pool, statements.findDataset, [text, looksLikeHash(text)]),
  );
  return row === undefined ? null : decodeDataset(row);
}

export async function listDatasets(database: Database): Promise<readonly DatasetRecord[]> {
  const rows = await database.repeatable('statements', (pool) =>
    query<DatasetRow>(pool, statements.listDatasets),
  );
  return rows.map(decodeDataset);
}

/** One query per chunk: nothing is held while the reader is slow. A stored data set never changes. */
export async function* readDataset(database: Database, hash: DatasetHash): AsyncIterable<Uint8Array> {
  for (let ordinal = 0; ; ordinal += 1) {
    const [row] = await database.repeatable('statements', (pool) =>
      query<{ content: Buffer }>(pool, statements.readChunk, [hash, ordinal]),
    );
    if (row === undefined) return;
    yield new Uint8Array(row.content);
  }
}
