import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Workplace, instantStudyFile, killTree, processTree, processesIn, until } from '../helpers/cli.js';

const anyPort = ['--listen', '127.0.0.1:0'];
const finishedLines = (stderr: string): number =>
  stderr.match(/ trial \d+ (COMPLETE|PRUNED|FAIL)/g)?.length ?? 0;

describe('coordinator start', () => {
  let place: Workplace;
  beforeEach(() => {
    place = new Workplace();
  });
  afterEach(() => place.remove());

  const status = async (study: string) => {
    const { stdout, stderr } = await place.run('coordinator', [
      'status',
      study,
      '--storage',
      'parzen-data',
      '--json',
    ]);
    if (stdout === '') throw new Error(stderr);
    return (JSON.parse(stdout) as Record<string, never>[])[0]!;
  };

  it('runs a study with local workers to its end and says where the results lie', async () => {
    const file = place.write('mine.yaml', instantStudyFile('mine', 40));
    const { code, stdout, stderr } = await place.run('coordinator', [
      'start',
      '--study',
      file,
      '--workers',
      '2',
      ...anyPort,
      '--out',
      'res',
    ]);
    expect(stderr).toContain('40/40 done');
    expect(code).toBe(0);
    expect(stdout).toContain('best_config_mine.yaml');
    expect(finishedLines(stderr)).toBe(40);
    expect(place.read('res/trials.csv').trim().split('\n')).toHaveLength(41);
    expect(place.read('res/top10.csv').trim().split('\n')).toHaveLength(11);
    expect(place.read('res/best_config_mine.yaml')).toContain('mine');
    expect(processesIn(place.directory)).toBe(false);
  });

  it('ends with exactly its budget after kill -9 of everything, twice, and every suggestion can be recomputed', async () => {
    // Enough that none of the runs ends before it is killed.
    const trials = 600;
    const file = place.write('killed.yaml', instantStudyFile('killed', trials));
    const args = ['start', '--study', file, '--workers', '2', ...anyPort];
    for (const finished of [30, 60]) {
      const running = place.start('coordinator', args);
      await until(() => finishedLines(running.stderr()) >= finished || running.process.exitCode !== null);
      expect(running.process.exitCode).toBeNull();
      const victims = processTree(running.process.pid!);
      expect(victims.length).toBeGreaterThan(4);
      killTree(running.process.pid);
      await running.done;
      await until(() => victims.every((pid) => !existsSync(`/proc/${pid}`)), 20_000);
    }
    const { code, stderr } = await place.run('coordinator', args);
    expect(stderr).toContain(`${trials}/${trials} done`);
    expect(code).toBe(0);
    const rows = place.read('out/trials.csv').trim().split('\n').slice(1);
    expect(rows.map((row) => Number(row.split(',')[0]))).toEqual(
      Array.from({ length: trials }, (_, number) => number),
    );
    expect(await status('killed')).toMatchObject({ state: 'FINISHED', counts: { WAITING: 0, RUNNING: 0 } });
    const verified = await place.run('coordinator', ['verify', 'killed', '--storage', 'parzen-data']);
    expect(verified.stdout).toContain(`all ${trials} suggestions`);
  });

  it('told to wait for its data, serves until they are imported and then begins', async () => {
    const text = `${instantStudyFile('later', 3)}\ndata: { dataset: market }\n`;
    const args = ['start', '--study', place.write('later.yaml', text), '--wait-for-data', ...anyPort];
    const running = place.start('coordinator', args);
    await until(() => running.stderr().includes('waiting for data') || running.process.exitCode !== null);
    const coordinator = /listen=(127.0.0.1:\d+)/.exec(running.stderr())![1]!;
    const made = await place.run('coordinator', [
      ...['data', 'synth', '--name', 'market', '--bars', '500', '--coordinator', coordinator],
    ]);
    expect(made.stderr).toBe('');
    await until(() => running.stderr().includes('study created') || running.process.exitCode !== null);
    running.process.kill('SIGTERM');
    expect(await running.done).toMatchObject({ code: 0 });
  });

  it('stops cleanly at Ctrl-C, gives trials back, and the same command goes on', async () => {
    const file = place.write('calm.yaml', instantStudyFile('calm', 400));
    const args = ['start', '--study', file, '--workers', '2', ...anyPort];
    const running = place.start('coordinator', args);
    await until(() => finishedLines(running.stderr()) >= 20);
    running.process.kill('SIGINT');
    const { code, stderr } = await running.done;
    expect(code).toBe(0);
    expect(stderr).toContain('the same command goes on');
    expect(processesIn(place.directory)).toBe(false);
    const { counts, state } = await status('calm');
    expect(state).toBe('RUNNING');
    expect(counts).toMatchObject({ RUNNING: 0, FAIL: 0 });
    const again = await place.run('coordinator', args);
    expect(again.stderr).toContain('400/400 done');
    // A finished study is not run again, and its budget is not exceeded. Its name is enough: the store has its file.
    const third = await place.run('coordinator', args.with(args.indexOf(file), 'calm'));
    expect(third.code).toBe(0);
    expect(finishedLines(third.stderr)).toBe(0);
    expect(await status('calm')).toMatchObject({ counts: { COMPLETE: 400 } });
  });

  it('by its name alone a study goes on with the budget that it has by now, not with that of its file', async () => {
    const start = (study: string, ...more: string[]) =>
      place.run('coordinator', ['start', '--study', study, '--workers', '1', ...anyPort, ...more]);
    const file = place.write('named.yaml', instantStudyFile('named', 20));
    await start(file, '--trials', '3');
    const less = await start('named');
    expect(less.code).toBe(0);
    expect(finishedLines(less.stderr)).toBe(0);
    await start('named', '--trials', '25');
    const more = await start('named');
    expect({ code: more.code, stderr: more.stderr }).toMatchObject({ code: 0 });
    expect(await status('named')).toMatchObject({ trialsMax: 25, counts: { COMPLETE: 25 } });
    // A slip of the pen: the studies of the store are known as well.
    const slip = await start('naned');
    expect(slip).toMatchObject({ code: 2 });
    expect(slip.stderr).toContain('The store has a study named.');
  });

  it('works with a worker in a process of its own, which is killed on the way', async () => {
    const file = place.write('apart.yaml', instantStudyFile('apart', 300));
    const args = ['start', '--study', file, '--lease-ttl', '10', ...anyPort];
    const coordinator = place.start('coordinator', args);
    await until(() => /listen=127.0.0.1:\d+/.test(coordinator.stderr()));
    const address = /listen=(127.0.0.1:\d+)/.exec(coordinator.stderr())![1]!;
    const first = place.start('worker', ['start', '--coordinator', address]);
    await until(() => finishedLines(coordinator.stderr()) >= 10);
    killTree(first.process.pid);
    const second = place.start('worker', ['start', '--coordinator', address, '--slots', '2']);
    const shown = await place.run('coordinator', ['status', '--coordinator', address]);
    expect(shown.stdout).toContain('apart');
    // The lease of the killed worker's trial has to run out first.
    await until(() => coordinator.stderr().includes('300/300 done'), 120_000);
    second.process.kill('SIGTERM');
    expect((await second.done).code).toBe(0);
    coordinator.process.kill('SIGTERM');
    const { code, stdout } = await coordinator.done;
    expect(code).toBe(0);
    expect(stdout).toContain('best_config_apart.yaml');
  });
});

describe('one clear error', () => {
  let place: Workplace;
  beforeEach(() => {
    place = new Workplace();
  });
  afterEach(() => place.remove());

  const errorOf = async (args: readonly string[], code: number): Promise<string> => {
    const result = await place.run('coordinator', args);
    expect({ code: result.code, stderr: result.stderr }).toMatchObject({ code });
    expect(result.stderr).not.toMatch(/\n\s+at /);
    return result.stderr;
  };

  it('for a wrong study file: every mistake with line and remedy', async () => {
    const text = instantStudyFile('wrong', 10)
      .replace('low: -2.0, high: 2.0', 'low: 3, high: 2')
      .replace('trials: 10', 'trails: 10');
    const stderr = await errorOf(['start', '--study', place.write('wrong.yaml', text), ...anyPort], 2);
    expect(stderr).toMatch(/wrong\.yaml:4:\d+ .*trails.*trials/);
    expect(stderr).toMatch(/wrong\.yaml:7:\d+ .*space\.x/);
    expect(place.has('parzen-data')).toBe(false);
  });

  it('for an unknown study: the ones there are', async () => {
    expect(await errorOf(['start', '--study', 'nope', ...anyPort], 2)).toMatch(/nope[\s\S]*quick/);
    expect(place.has('parzen-data')).toBe(false);
  });

  it('for a wrong market data file: line and column', async () => {
    const csv =
      '1500000000000,1,2,0.5,1.5,10,1500003599999,15,3,5,7,0\n1500003600000,1,2,0.5,x,10,1500007199999,15,3,5,7,0\n';
    const stderr = await errorOf(
      ['data', 'import', place.write('bad.csv', csv), '--storage', 'parzen-data'],
      1,
    );
    expect(stderr).toMatch(/bad\.csv, line 2, column 5/);
  });

  it('for a busy port', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const file = place.write('busy.yaml', instantStudyFile('busy', 3));
    const stderr = await errorOf(['start', '--study', file, '--listen', `127.0.0.1:${port}`], 1);
    expect(stderr).toMatch(new RegExp(`127.0.0.1:${port} is in use.*--listen`));
    server.close();
  });

  it('for listening beyond loopback', async () => {
    const file = place.write('open.yaml', instantStudyFile('open', 3));
    expect(await errorOf(['start', '--study', file, '--listen', '0.0.0.0:0'], 2)).toMatch(/--insecure/);
  });

  it('for an unreachable coordinator', async () => {
    expect(await errorOf(['status', '--coordinator', '127.0.0.1:1'], 1)).toMatch(
      /no coordinator answers at 127.0.0.1:1.*--storage/,
    );
  });

  it('for a worker whose coordinator is away: it says so and keeps trying', async () => {
    const worker = place.start('worker', ['start', '--coordinator', '127.0.0.1:1']);
    await until(() => worker.stderr().includes('no answer from the coordinator'));
    worker.process.kill('SIGTERM');
    expect((await worker.done).code).toBe(0);
  });

  it('for a second coordinator on the same folder', async () => {
    const file = place.write('twice.yaml', instantStudyFile('twice', 1_000_000));
    const first = place.start('coordinator', ['start', '--study', file, ...anyPort]);
    await until(() => first.stderr().includes('coordinator ready'));
    expect(await errorOf(['start', '--study', file, ...anyPort], 1)).toMatch(
      new RegExp(`${first.process.pid}`),
    );
  });

  it('for wrong usage', async () => {
    expect(await errorOf(['start', '--trials', 'many'], 2)).toMatch(/--trials/);
    expect(await errorOf(['start', '--workers', '-1'], 2)).toMatch(/0 to 1024/);
    expect(await errorOf(['frobnicate'], 2)).toMatch(/unknown command/);
    expect(await errorOf(['best', 'none', '--storage', 'parzen-data'], 1)).toMatch(
      /there is no store in parzen-data/,
    );
  });

  /** An unfit machine must not use up the study: nothing counts against any trial. */
  const expectUntouched = async (study: string): Promise<void> => {
    const { stdout } = await place.run('coordinator', [
      'status',
      study,
      '--storage',
      'parzen-data',
      '--json',
    ]);
    expect((JSON.parse(stdout) as object[])[0]).toMatchObject({
      state: 'RUNNING',
      counts: { FAIL: 0, COMPLETE: 0, RUNNING: 0 },
    });
  };

  it('for a runtime that there is not: no trial is blamed', async () => {
    const args = ['start', '--study', 'quick', '--workers', '1', '--runtime', 'nonsense', ...anyPort];
    const stderr = await errorOf(args, 1);
    expect(stderr).toMatch(/nonsense/);
    expect(stderr).toMatch(/local workers keep dying/);
    await expectUntouched('quick');
  });

  it('for a cache that cannot be written: no trial is blamed', async () => {
    place.write('cache', 'a file where the folder should be');
    const stderr = await errorOf(['start', '--study', 'quick', '--workers', '1', ...anyPort], 1);
    expect(stderr).toMatch(/PARZEN_CACHE/);
    await expectUntouched('quick');
  });

  it('for results that cannot be written, before anything is run', async () => {
    const out = place.write('taken', 'a file');
    const file = place.write('nowhere.yaml', instantStudyFile('nowhere', 3));
    expect(await errorOf(['start', '--study', file, '--out', out, ...anyPort], 1)).toMatch(/--out .*taken/);
    expect(place.has('parzen-data')).toBe(false);
  });

  const mountable = process.getuid?.() === 0 && spawnSync('sh', ['-c', 'command -v mount']).status === 0;
  it.skipIf(!mountable)('for a full disk (needs root to mount a small one)', async (context) => {
    const disk = path.join(place.directory, 'disk');
    spawnSync('mkdir', [disk]);
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=30m', 'tmpfs', disk]).status !== 0)
      context.skip('mounting is not allowed here');
    try {
      const file = place.write('full.yaml', instantStudyFile('full', 3));
      const stderr = await errorOf(
        ['start', '--study', file, '--storage', path.join(disk, 'data'), ...anyPort],
        1,
      );
      expect(stderr).toMatch(/space|full/i);
      expect(stderr).toContain(disk);
    } finally {
      await until(() => spawnSync('umount', [disk]).status === 0, 20_000);
    }
  });
});

describe('coordinator suggest', () => {
  it('prints one line per seed', async () => {
    const place = new Workplace();
    const input = JSON.stringify({
      space: [{ name: 'x', low: 0, high: 1, step: null, log: false }],
      directions: ['minimize'],
      rules: 'optuna-5',
      trials: [],
      seeds: [1, 2],
    });
    const { code, stdout } = await place.run('coordinator', ['suggest'], input);
    expect(code).toBe(0);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { seed: number; params: { x: number } });
    expect(lines.map(({ seed }) => seed)).toEqual([1, 2]);
    // NumPy: RandomState(1).rand() and RandomState(2).rand().
    expect(lines[0]!.params.x).toBeCloseTo(0.417022004702574, 12);
    expect(lines[1]!.params.x).toBeCloseTo(0.435994902142004, 12);
    await place.remove();
  });
});
