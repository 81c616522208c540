import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { datasetHash, workerId } from '../../shared/core/ids.js';
import { collect, dataset, t0, worker, type CurrentStorage } from './storage-fixtures.js';

export function describeWorkers(storage: CurrentStorage): void {
  describe('workers', () => {
    it('registers, refreshes and touches workers', async () => {
      await storage().putWorker(worker('b', { registeredAtMs: t0 + 1 }));
      const plain = {
        ...{ gpuUuid: null, gpuMemoryBytes: null, study: null, trainers: [] },
        ...{ sharedGpu: true, draining: false },
      };
      await storage().putWorker(worker('a', { ...plain, registeredAtMs: t0 + 1 }));
      await storage().putWorker(worker('z'));
      const again = {
        lastSeenAtMs: t0 + 500,
        slots: 4,
        study: 'eth',
        trainers: ['x, "y"', ''],
        draining: true,
      };
      await storage().putWorker(worker('b', { ...again, registeredAtMs: t0 + 500 }));
      const first = worker('z');
      const second = worker('a', { ...plain, registeredAtMs: t0 + 1 });
      const third = worker('b', { ...again, registeredAtMs: t0 + 1 });
      expect(await storage().listWorkers()).toEqual([first, second, third]);
      const touch = async (...seen: [string, number][]) => [
        ...(await storage().touchWorkers(new Map(seen.map(([id, at]) => [workerId(id), at])))),
      ];
      expect((await touch(['nobody', t0], ['a', t0 + 900], ['z', t0 - 5])).sort()).toEqual(['a', 'z']);
      expect(await touch(['a', t0 + 800])).toEqual(['a']);
      expect(await touch(['nobody', t0])).toEqual([]);
      expect(await touch()).toEqual([]);
      expect(await storage().listWorkers()).toEqual([first, { ...second, lastSeenAtMs: t0 + 900 }, third]);
    });

    it('finds workers by id', async () => {
      for (const id of ['a', 'b', 'c']) await storage().putWorker(worker(id));
      const found = await storage().findWorkers(['c', 'nobody', 'a'].map(workerId));
      expect(found).toHaveLength(2);
      expect(found).toEqual(expect.arrayContaining([worker('a'), worker('c')]));
      expect(await storage().findWorkers([])).toEqual([]);
    });
  });
}

export function describeDatasets(storage: CurrentStorage): void {
  describe('data sets', () => {
    const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

    it('stores bytes in chunks and reads them back', async () => {
      const chunks = [randomBytes(300_000), new Uint8Array(0), Uint8Array.from([0, 255, 0]), randomBytes(7)];
      const record = dataset('btc', chunks);
      await storage().putDataset(record, chunks);
      const read = await collect(storage().readDataset(record.hash));
      expect(createHash('sha256').update(Buffer.concat(read)).digest('hex')).toBe(record.hash);
      expect(read.map((chunk) => chunk.length)).toEqual([300_000, 0, 3, 7]);
      expect(await storage().findDataset('btc')).toEqual(record);
      expect(await collect(storage().readDataset(datasetHash('f'.repeat(64))))).toEqual([]);
    });

    it('finds data sets by name, hash and unique prefix of the hash', async () => {
      const fixed = (start: string, name: string) =>
        dataset(name, [bytes(name)], { hash: datasetHash(start.padEnd(64, '0')) });
      const one = fixed('abcdef12aa', 'one');
      const two = fixed('abcdef12bb', 'two');
      const three = fixed('99999999', 'abcdef12aa');
      for (const record of [one, two, three]) await storage().putDataset(record, [bytes(record.name)]);
      expect(await storage().findDataset(one.hash)).toEqual(one);
      expect(await storage().findDataset('two')).toEqual(two);
      expect(await storage().findDataset('abcdef12bb')).toEqual(two);
      // A name wins over a prefix; a prefix has 8 digits at least and is unique.
      expect(await storage().findDataset('abcdef12aa')).toEqual(three);
      expect(await storage().findDataset('abcdef12')).toBeNull();
      expect(await storage().findDataset('9999999')).toBeNull();
      expect(await storage().findDataset('99999999')).toEqual(three);
      expect(await storage().findDataset('________')).toBeNull();
      expect(await storage().findDataset('')).toBeNull();
      expect(await storage().listDatasets()).toEqual([one, two, three]);
    });

    it('keeps the bytes of a known hash and takes the new name', async () => {
      const first = dataset('btc', [bytes('one')]);
      const second = dataset('btc', [bytes('two')], { createdAtMs: t0 + 1 });
      await storage().putDataset(first, [bytes('one')]);
      await storage().putDataset(second, [bytes('two')]);
      expect(await storage().findDataset('btc')).toEqual(second);
      await storage().putDataset({ ...first, name: 'better', createdAtMs: t0 + 9 }, [bytes('never read')]);
      const renamed = { ...first, name: 'better' };
      expect(await storage().findDataset('better')).toEqual(renamed);
      expect(await storage().findDataset(first.hash)).toEqual(renamed);
      expect(await collect(storage().readDataset(first.hash))).toEqual([bytes('one')]);
      expect(await storage().findDataset('btc')).toEqual(second);
      // The newest under a name is the one that was stored last, also when it had the name before.
      await storage().putDataset(first, []);
      expect(await storage().findDataset('btc')).toEqual(first);
      expect(await storage().listDatasets()).toEqual([first, second]);
    });

    it('leaves nothing of a data set whose chunks end in an error, and stores it once when asked twice', async () => {
      const record = dataset('broken', [bytes('x')]);
      function* failing(): Iterable<Uint8Array> {
        yield bytes('x');
        throw new Error('file ended early');
      }
      await expect(storage().putDataset(record, failing())).rejects.toThrow('file ended early');
      expect(await storage().findDataset('broken')).toBeNull();
      expect(await collect(storage().readDataset(record.hash))).toEqual([]);
      await Promise.all([
        storage().putDataset(record, [bytes('x')]),
        storage().putDataset(record, [bytes('x')]),
      ]);
      expect(await collect(storage().readDataset(record.hash))).toEqual([bytes('x')]);
    });
  });
}
