import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../shared/platform/log.js';
import { created, leased } from '../../../test/contract/storage-fixtures.js';
import { run } from '../../../test/helpers/postgres.js';
import { eventually, startStorageProcess } from '../../../test/helpers/storage-process.js';
import { StorageInUse, StorageOpenError } from '../errors.js';
import { openStorage } from '../open-storage.js';
import type { Storage } from '../port.js';
import { announceCoordinator } from './announce.js';
import { postmasterPid, serversIn } from './processes.js';
import { startEmbedded } from './start-embedded.js';

const isRoot = process.getuid?.() === 0;
const onLinux = process.platform === 'linux';
/** How often the owner of a store is killed during its commits; `STORE_KILLS` asks for more. */
const kills = Number(process.env['STORE_KILLS'] ?? 3);

let base: string;
let directory: string;
let data: string;
beforeEach(() => {
  base = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'parzen-embedded-')));
  chmodSync(base, 0o755);
  directory = path.join(base, 'data');
  data = path.join(directory, 'pg18');
});
afterEach(async () => {
  await eventually(() => serversIn(data).length === 0, 'every server in the directory has ended');
  rmSync(base, { recursive: true, force: true });
});

const open = (): Promise<Storage> => openStorage(directory, { log: silentLog });

async function finishedNumbers(storage: Storage): Promise<readonly number[]> {
  const study = await storage.findStudy('demo');
  if (study === null) return [];
  const trials = await storage.listTrials(study.id, { fromNumber: 0, limit: 1_000_000 });
  expect(trials.map(({ number }) => number)).toEqual(trials.map((_, index) => index));
  return trials.filter(({ state }) => state === 'COMPLETE').map(({ number }) => number);
}

describe('embedded PostgreSQL', () => {
  it('creates a database, keeps it, and ends with the store', async () => {
    const first = await open();
    const study = await created(first);
    expect(serversIn(data).length).toBeGreaterThan(0);
    expect(statSync(data).mode & 0o777).toBe(0o700);
    await first.close();
    await first.close();
    expect(serversIn(data)).toEqual([]);
    expect(existsSync(path.join(directory, 'lock'))).toBe(false);
    const startMs = performance.now();
    const second = await open();
    console.log(`warm start: ${Math.round(performance.now() - startMs)} ms`);
    expect(await second.findStudy('demo')).toEqual(study);
    await second.close();
  });

  it('commits durably, whatever the data directory is configured to', async () => {
    await (await startEmbedded({ directory, log: silentLog })).stop();
    writeFileSync(path.join(data, 'postgresql.auto.conf'), 'fsync = off\nsynchronous_commit = off\n');
    const server = await startEmbedded({ directory, log: silentLog });
    const rows = await run(
      server.connection,
      `select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit,
              current_setting('full_page_writes') as pages, current_setting('listen_addresses') as listen`,
    );
    expect(rows).toEqual([{ fsync: 'on', commit: 'on', pages: 'on', listen: '' }]);
    await server.stop();
  });

  it('loses nothing acknowledged when its process is killed, leaves no server, and starts again', async () => {
    const acknowledged = new Set<number>();
    for (let round = 0; round < kills; round += 1) {
      const owner = startStorageProcess([directory]);
      await owner.acks(20 + ((17 * round) % 60));
      // Now its process alone, now all that it started as well.
      if (round % 2 === 1) for (const pid of serversIn(data)) process.kill(pid, 'SIGKILL');
      await owner.kill('SIGKILL');
      for (const number of owner.acknowledged) acknowledged.add(number);
      // The first rounds start again at once, the last one looks at what is left behind.
      if (round === kills - 1)
        await eventually(() => serversIn(data).length === 0, 'no server without an owner', 5_000);
    }
    const storage = await open();
    const finished = await finishedNumbers(storage);
    expect(finished).toEqual(expect.arrayContaining([...acknowledged]));
    // Per kill one trial may have been finished without the answer having arrived.
    expect(finished.length - acknowledged.size).toBeLessThanOrEqual(kills);
    console.log(`${kills} kills: ${acknowledged.size} acknowledged, ${finished.length} finished`);
    await storage.close();
  });

  it('recovers when the owner and every server process are killed at once', async () => {
    const owner = startStorageProcess([directory]);
    await owner.acks(25);
    for (const pid of serversIn(data)) process.kill(pid, 'SIGKILL');
    await owner.kill('SIGKILL');
    const storage = await open();
    expect(await finishedNumbers(storage)).toEqual(expect.arrayContaining([...owner.acknowledged]));
    await storage.close();
  });

  it('starts a server that died again, and the store goes on', async () => {
    const owner = startStorageProcess([directory]);
    await owner.acks(10);
    const before = postmasterPid(data);
    if (before === null) throw new Error('no server runs');
    process.kill(before, 'SIGKILL');
    const known = owner.acknowledged.length;
    await owner.acks(known + 30);
    expect(postmasterPid(data)).not.toBe(before);
    await owner.end();
    expect(serversIn(data)).toEqual([]);
  });

  it('ends a server whose watchdog was killed', async () => {
    const owner = startStorageProcess([directory]);
    await owner.acks(5);
    const postmaster = postmasterPid(data);
    if (postmaster === null || !onLinux) {
      await owner.end();
      return;
    }
    const parent = Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${postmaster}/stat`, 'utf8'))?.[1]);
    process.kill(parent, 'SIGKILL');
    await owner.kill('SIGKILL');
    const storage = await open();
    expect(await finishedNumbers(storage)).toEqual(expect.arrayContaining([...owner.acknowledged]));
    await storage.close();
  });

  it('refuses a second process, naming the first and where it serves', async () => {
    const owner = startStorageProcess([directory, '127.0.0.1:50051']);
    await owner.acks(1);
    const refused = await open().catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(StorageInUse);
    expect(refused).toMatchObject({ pid: owner.pid, address: '127.0.0.1:50051', directory });
    expect(String(refused)).toContain(`in use by process ${owner.pid}`);
    expect(String(refused)).toContain('--coordinator 127.0.0.1:50051');
    await owner.acks(owner.acknowledged.length + 5);
    await owner.end();
    // In one process as well.
    const storage = await open();
    await expect(open()).rejects.toMatchObject({ name: 'StorageInUse', pid: process.pid, address: null });
    announceCoordinator(directory, 'localhost:1');
    await expect(open()).rejects.toMatchObject({ address: 'localhost:1' });
    await storage.close();
    expect(existsSync(path.join(directory, 'coordinator.json'))).toBe(false);
  });

  it('lets one of several processes that start together own the directory', async () => {
    const owners = Array.from({ length: 4 }, () => startStorageProcess([directory]));
    const outcomes = await Promise.all(
      owners.map((owner) => Promise.race([owner.line('open'), owner.line('failed')]).catch(() => 'ended')),
    );
    expect(outcomes.filter((outcome) => outcome === 'open')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome.startsWith('failed StorageInUse'))).toHaveLength(3);
    await Promise.all(owners.map((owner) => owner.end()));
  });

  it('is not misled by process ids that were given again', async () => {
    await (await open()).close();
    const stranger = spawn('sleep', ['1000'], isRoot ? { uid: statSync(data).uid } : {});
    try {
      const pid = stranger.pid ?? 0;
      writeFileSync(
        path.join(data, 'postmaster.pid'),
        `${pid}\n${data}\n${Math.floor(Date.now() / 1_000) + 5}\n5432\n.\n\n\nready   \n`,
      );
      writeFileSync(path.join(directory, 'lock'), JSON.stringify({ pid, started: '1', space: 'elsewhere' }));
      const past = new Date(Date.now() - 60_000);
      utimesSync(path.join(directory, 'lock'), past, past);
      const storage = await open();
      await created(storage);
      await storage.close();
      expect(stranger.exitCode).toBeNull();
      expect(stranger.signalCode).toBeNull();
    } finally {
      stranger.kill('SIGKILL');
    }
  });

  it('works below a directory whose path is too long for a socket', async () => {
    directory = path.join(base, 'x'.repeat(120), 'data');
    data = path.join(directory, 'pg18');
    const storage = await open();
    await created(storage);
    await storage.close();
    expect(existsSync(path.join(data, 'PG_VERSION'))).toBe(true);
  });

  it('works in a directory with awkward characters', async () => {
    directory = path.join(base, `it's "a" $HOME; dir%20 ü`);
    data = path.join(directory, 'pg18');
    const storage = await open();
    await leased(storage, (await created(storage)).id, 'a');
    await storage.close();
  });

  it.skipIf(!isRoot || !onLinux)(
    'keeps the data in place below a directory only root can enter (root only)',
    async () => {
      const home = path.join(base, 'home');
      mkdirSync(home, { mode: 0o700 });
      directory = path.join(home, 'project', 'data');
      data = path.join(directory, 'pg18');
      const storage = await open();
      const study = await created(storage);
      await storage.close();
      expect(existsSync(path.join(data, 'PG_VERSION'))).toBe(true);
      const owner = startStorageProcess([directory]);
      await owner.acks(5);
      await owner.kill('SIGKILL');
      const again = await open();
      expect(await again.findStudy('demo')).toMatchObject({ id: study.id });
      expect((await finishedNumbers(again)).length).toBeGreaterThanOrEqual(5);
      await again.close();
    },
  );

  it.skipIf(!isRoot)('works as an ordinary user below a home of mode 0700 (started by root)', async () => {
    const home = path.join(base, 'home');
    mkdirSync(home, { mode: 0o700 });
    const nobody = Number(spawnSync('id', ['-u', 'nobody'], { encoding: 'utf8' }).stdout);
    chownSync(home, nobody, nobody);
    directory = path.join(home, 'data');
    data = path.join(directory, 'pg18');
    const owner = startStorageProcess([directory], { uid: nobody, gid: nobody, cwd: '/' });
    await owner.acks(5);
    expect(statSync(data).uid).toBe(nobody);
    await owner.kill('SIGKILL');
    await eventually(() => serversIn(data).length === 0, 'no server without an owner', 5_000);
    const again = startStorageProcess([directory], { uid: nobody, gid: nobody, cwd: '/' });
    await again.acks(1);
    expect(again.acknowledged[0]).toBeGreaterThan(3);
    await again.end();
  });

  it.skipIf(!isRoot)(
    'names the remedy for a directory that cannot be written (started by root)',
    async () => {
      const nobody = Number(spawnSync('id', ['-u', 'nobody'], { encoding: 'utf8' }).stdout);
      const owner = startStorageProcess([directory], { uid: nobody, gid: nobody, cwd: '/' });
      expect(await owner.line('failed')).toMatch(
        /StorageOpenError .*data cannot hold the database: .*--storage/,
      );
      await owner.end();
    },
  );

  it('names the remedy for a path that is no directory, and for data of another version', async () => {
    writeFileSync(path.join(base, 'file'), '');
    directory = path.join(base, 'file');
    await expect(open()).rejects.toThrow(/not a directory.*--storage/);
    directory = path.join(base, 'data');
    mkdirSync(data, { recursive: true, mode: 0o700 });
    writeFileSync(path.join(data, 'PG_VERSION'), '17\n');
    await expect(open()).rejects.toThrow(/PostgreSQL 17.*comes with 18/);
    expect(existsSync(path.join(directory, 'lock'))).toBe(false);
  });

  it('starts over after a creation that was cut short', async () => {
    mkdirSync(`${data}.new/base`, { recursive: true });
    writeFileSync(path.join(`${data}.new`, 'PG_VERSION'), '18\n');
    const storage = await open();
    await created(storage);
    await storage.close();
    expect(existsSync(`${data}.new`)).toBe(false);
  });

  it('says what the server said when it cannot start', async () => {
    await (await open()).close();
    rmSync(path.join(data, 'global', 'pg_control'));
    const failure = await open().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StorageOpenError);
    expect(String(failure)).toMatch(/did not start: .*pg_control.*postgres\.log/s);
  });
});
