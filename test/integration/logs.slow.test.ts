/** One trial in the logs of both processes, and what must be in none. */
import { describe, expect, it } from 'vitest';
import { createLog, leaseName, type Log } from '../../shared/platform/log.js';
import { leaseToken, requestId, workerId } from '../../shared/core/ids.js';
import { ask } from '../../coordinator/app/ask.js';
import { release } from '../../coordinator/app/release.js';
import { viewStudy } from '../../coordinator/app/study-view.js';
import { tell } from '../../coordinator/app/tell.js';
import { Workplace, until } from '../helpers/cli.js';
import { runWorker, startCoordinator } from '../helpers/over-grpc.js';

type Line = Readonly<Record<string, unknown>> & { readonly msg: string };

/** A log of JSON lines at the level debug. */
function recorded(): {
  readonly log: Log;
  readonly lines: () => readonly Line[];
  readonly text: () => string;
} {
  const lines: string[] = [];
  const log = createLog({ level: 'debug', format: 'json', write: (line) => lines.push(line) });
  return {
    log,
    lines: () => lines.map((line) => JSON.parse(line) as Line),
    text: () => lines.join(''),
  };
}

const messagesOf = (lines: readonly Line[], ids: object): readonly string[] =>
  lines
    .filter((line) => Object.entries(ids).every(([key, value]) => line[key] === value))
    .map(({ msg }) => msg);

describe('a trial', () => {
  it('can be followed through the logs of coordinator and worker', async () => {
    const [there, here] = [recorded(), recorded()];
    const { server, create, context } = await startCoordinator({ log: there.log });
    const stop = new AbortController();
    try {
      await create('followed', 3);
      const working = runWorker(server.address, stop.signal, here);
      await until(async () => (await viewStudy(context, 'followed')).state === 'FINISHED');
      stop.abort();
      await working;
    } finally {
      await server.stop();
    }
    const worker = here.lines().find(({ msg }) => msg === 'registered')?.['worker'];
    for (const trial of [0, 1, 2]) {
      const lease = there.lines().find((line) => line['trial'] === trial)?.['lease'];
      expect(lease).toMatch(/^[0-9a-f]{12}$/);
      const ids = { study: 'followed', trial, attempt: 1, worker, lease };
      expect(messagesOf(there.lines(), ids)).toEqual(['trial assigned', 'result recorded']);
      expect(messagesOf(here.lines(), ids)).toEqual(['trial assigned', 'trial started', 'trial told']);
    }
  });

  it('that is given back, lost or told late is logged with all its ids, and never with its token', async () => {
    const { log, lines, text } = recorded();
    const { server, create, context } = await startCoordinator({ log });
    await server.stop();
    await create('lost', 5);
    const worker = workerId('w1');
    await context.storage.putWorker({
      ...{ id: worker, host: 'h', gpuUuid: null, gpuName: '', gpuMemoryBytes: null, slots: 1 },
      ...{ runtime: '', version: '', registeredAtMs: Date.now(), lastSeenAtMs: Date.now() },
      ...{ study: null, trainers: [], sharedGpu: false, draining: false },
    });
    const request = { requestId: requestId('r1'), workerId: worker, study: null, waitMs: 0, trainers: [] };
    const outcome = await ask(context, request, new AbortController().signal);
    if (outcome.kind !== 'assigned') throw new Error(outcome.reason);
    const { token } = outcome.assignment;
    expect(await release(context, leaseToken(token), 'gone')).toBe(true);
    const late = { token, outcome: { kind: 'completed', metrics: {} }, peakMemoryBytes: null } as const;
    expect((await tell(context, late)).kind).toBe('lease-lost');
    const ids = { study: 'lost', trial: 0, attempt: 1, worker: 'w1', lease: leaseName(token) };
    expect(messagesOf(lines(), ids)).toEqual([
      'trial assigned',
      'trial taken back',
      'late result kept as evidence',
    ]);
    expect(text()).not.toContain(token);
    expect(text()).not.toContain(token.split('.')[1]);
  });
});

describe('a secret', () => {
  it('does not get past the log, in whatever it is hidden', () => {
    const { log, lines, text } = recorded();
    const url = 'postgres://parzen:hunter2@db:5432/parzen';
    const token = `parzen_worker_${'x'.repeat(43)}`;
    log.info({ storage: url, token }, `opening ${url} with ${token}`);
    log.error({ err: new Error(`cannot connect to ${url}`, { cause: new Error(token) }) }, 'failed');
    const connection = { user: 'me', password: 'hun"ter2' };
    log.info({ connection, as: [JSON.stringify(connection), '{"db_password": "hunter2"}'] }, 'connecting');
    log.info({ nested: { list: ['postgres://p:hun/ter2@ss@db/x'] } }, 'kept: https://host/a@b and a:b@c');
    expect(text()).not.toMatch(/hunter2|hun\W*ter2|xxxx/);
    // Each line is still JSON.
    expect(lines()[2]).toMatchObject({ msg: 'connecting', connection: { user: 'me', password: '***' } });
    expect(text()).toContain('postgres://parzen:***@db:5432/parzen');
    expect(text()).toContain('kept: https://host/a@b and a:b@c');
    let plain = '';
    createLog({ level: 'info', format: 'text', write: (line) => (plain += line) }).info({ url }, token);
    expect(plain).not.toMatch(/hunter2|xxxx/);
  });

  it.each(['postgres://parzen:hunter2@127.0.0.1:1/x', 'postgres://parzen:hunter2@[bad/x'])(
    'of %s is not shown by a coordinator that cannot open its store',
    async (url) => {
      const place = new Workplace();
      try {
        const { code, stdout, stderr } = await place.run('coordinator', [
          ...['start', '--storage', url, '--log', 'debug', '--listen', '127.0.0.1:0'],
        ]);
        expect(code).toBe(1);
        expect(stderr).toMatch(/^coordinator: /m);
        expect(stdout + stderr).not.toContain('hunter2');
      } finally {
        await place.remove();
      }
    },
  );
});
