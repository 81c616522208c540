import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../shared/platform/log.js';
import { DatasetCache } from './dataset-cache.js';

const bytes = Buffer.from('candles '.repeat(1_000));
const hash = createHash('sha256').update(bytes).digest('hex');

describe('DatasetCache', () => {
  let directory: string;
  let fetches: number;
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'parzen-cache-'));
    fetches = 0;
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** A source that sends `content` in pieces, and fails after `failAfter` of them. */
  const cacheOf = (content: Buffer, failAfter = Infinity): DatasetCache =>
    new DatasetCache(
      directory,
      {
        // eslint-disable-next-line @typescript-eslint/require-await -- a stream that has all its pieces at once
        async *fetchDataset() {
          fetches += 1;
          for (let start = 0, piece = 0; start < content.length; start += 3_000, piece += 1) {
            if (piece >= failAfter) throw new Error('connection lost');
            yield { chunk: content.subarray(start, start + 3_000) };
          }
        },
      },
      silentLog,
    );

  it('fetches once, however many ask at once, and again only when the file is gone or damaged', async () => {
    const cache = cacheOf(bytes);
    const files = await Promise.all([cache.ensure(hash), cache.ensure(hash), cache.ensure(hash)]);
    expect(new Set(files).size).toBe(1);
    expect(readFileSync(files[0])).toEqual(bytes);
    await cacheOf(bytes).ensure(hash);
    expect(fetches).toBe(1);
    writeFileSync(files[0], 'half');
    await cacheOf(bytes).ensure(hash);
    expect(fetches).toBe(2);
    expect(readFileSync(files[0])).toEqual(bytes);
  });

  it('keeps data from others of the machine', async () => {
    const file = await cacheOf(bytes).ensure(hash);
    expect(statSync(path.dirname(file)).mode & 0o077).toBe(0);
  });

  it('keeps to its folder, whatever a coordinator calls a data set', async () => {
    for (const name of ['../../escaped', '/etc/passwd', `${hash}/..`, hash.toUpperCase(), '', 'a'.repeat(65)])
      await expect(cacheOf(Buffer.from('x')).ensure(name)).rejects.toThrow(/is no SHA-256 of a data set/);
  });

  it('leaves nothing behind when the bytes are wrong or the connection breaks, and tries again', async () => {
    await expect(cacheOf(Buffer.from('something else')).ensure(hash)).rejects.toThrow(/damaged/);
    const broken = cacheOf(bytes, 1);
    await expect(broken.ensure(hash)).rejects.toThrow('connection lost');
    await expect(broken.ensure(hash)).rejects.toThrow('connection lost');
    expect(fetches).toBe(3);
    expect(readdirSync(path.join(directory, 'datasets'))).toEqual([]);
  });
});
