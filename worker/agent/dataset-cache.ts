import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Log } from '../../shared/platform/log.js';

/** Where data sets come from. */
export interface DatasetSource {
  fetchDataset(hash: string): AsyncIterable<{ readonly chunk: Uint8Array }>;
}

/** Data sets on this machine's disk, by hash. Shared by all workers of a user: files appear whole or not at all. */
export class DatasetCache {
  readonly #directory: string;
  readonly #source: DatasetSource;
  readonly #log: Log;
  /** Fetches under way and files checked, so that the slots of a worker share one. */
  readonly #ready = new Map<string, Promise<string>>();

  constructor(directory: string, source: DatasetSource, log: Log) {
    this.#directory = path.join(directory, 'datasets');
    this.#source = source;
    this.#log = log;
  }

  /** The path of the data set's canonical bytes, fetched first if need be. Rejects when it cannot be had. */
  ensure(hash: string): Promise<string> {
    const known = this.#ready.get(hash);
    if (known !== undefined) return known;
    const ready = this.#ensure(hash);
    this.#ready.set(hash, ready);
    // A failed fetch is tried again by the next trial.
    ready.catch(() => this.#ready.delete(hash));
    return ready;
  }

  async #ensure(hash: string): Promise<string> {
    // It becomes a file's name, and comes from the network.
    if (!/^[0-9a-f]{64}$/.test(hash)) throw new Error(`${JSON.stringify(hash)} is no SHA-256 of a data set`);
    const file = path.join(this.#directory, hash);
    if (await isWhole(file, hash)) return file;
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const part = `${file}.${randomUUID()}.part`;
    try {
      const bytes = await this.#download(hash, part);
      await rename(part, file);
      this.#log.info({ dataset: hash.slice(0, 12), bytes }, 'data set fetched');
      return file;
    } finally {
      await rm(part, { force: true });
    }
  }

  async #download(hash: string, part: string): Promise<number> {
    const digest = createHash('sha256');
    const output = await open(part, 'w');
    let bytes = 0;
    try {
      for await (const { chunk } of this.#source.fetchDataset(hash)) {
        digest.update(chunk);
        await output.writeFile(chunk);
        bytes += chunk.length;
      }
      await output.sync();
    } finally {
      await output.close();
    }
    const actual = digest.digest('hex');
    if (actual !== hash) throw new Error(`data set ${hash} arrived damaged (hash ${actual}, ${bytes} bytes)`);
    return bytes;
  }
}

/** A file in the cache is trusted only after its bytes were hashed: the disk may have been full, or someone careless. */
async function isWhole(file: string, hash: string): Promise<boolean> {
  const found = await stat(file).catch(() => null);
  if (found === null || !found.isFile()) return false;
  const digest = createHash('sha256');
  for await (const chunk of createReadStream(file)) digest.update(chunk as Buffer);
  return digest.digest('hex') === hash;
}
