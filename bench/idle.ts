/**
 * `npm run bench:idle`: how long a slot stands idle between two trials, without and with asking ahead, for trials of
 * several lengths. One coordinator with the embedded PostgreSQL and TPE, real gRPC; the trainer is a process that answers
 * at once, or a pause. Goal: less than 10 ms in the median (architecture §12).
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import os from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { createStudy } from '../coordinator/app/create-study.js';
import { openContext, type OpenContext } from '../coordinator/cli/open-context.js';
import { startGrpcServer } from '../coordinator/grpc/server.js';
import { openStorage } from '../coordinator/storage/open-storage.js';
import { systemClock } from '../shared/platform/clock.js';
import { silentLog } from '../shared/platform/log.js';
import { smallStudy } from '../test/helpers/app.js';
import { CoordinatorClient } from '../worker/agent/coordinator-client.js';
import { DatasetCache } from '../worker/agent/dataset-cache.js';
import { Leases } from '../worker/agent/leases.js';
import { defaultChildPath } from '../worker/agent/session.js';
import { runSlot } from '../worker/agent/slot.js';
import type { AttemptRunner } from '../worker/agent/slot-options.js';
import { aheadRoundTripsDefault } from '../worker/limits.js';
import { ChildTrainer } from '../worker/trainers/child-trainer.js';
import { instantMetrics } from '../worker/trainers/instant.js';

const trials = 400;
/** A row takes no longer than this, ms. */
const rowMaxMs = 15_000;

/** Trials of a given length, ms. */
const pause = (lengthMs: number): AttemptRunner => ({
  run: async (job) => {
    if (lengthMs > 0) await sleep(lengthMs);
    return { kind: 'done', metrics: instantMetrics(job.params), peakMemoryBytes: null };
  },
  kill: () => Promise.resolve(),
});

interface Row {
  readonly idleMs: readonly number[];
  readonly roundTripMs: number;
}

/** Runs a study of its own in one slot; the time from each trial's end to the next one's start. */
async function runRow(
  { context }: OpenContext,
  address: string,
  { runner, ahead }: { readonly runner: AttemptRunner; readonly ahead: number },
): Promise<Row> {
  const name = `idle-${randomUUID()}`;
  const definition = smallStudy({ name, trials });
  await createStudy(context, { definition, definitionText: name, trials: null, dataset: null });
  const client = new CoordinatorClient({ address, clock: systemClock, random: Math.random, log: silentLog });
  const over = new AbortController();
  const idleMs: number[] = [];
  let endedAtMs: number | null = null;
  const timed: AttemptRunner = {
    run: async (job, options) => {
      if (endedAtMs !== null) idleMs.push(performance.now() - endedAtMs);
      const result = await runner.run(job, options);
      endedAtMs = performance.now();
      if (idleMs.length >= trials - 1) over.abort();
      return result;
    },
    kill: () => runner.kill(),
  };

  const described = { host: 'bench', gpuUuid: '', gpuName: 'none', gpuMemoryBytes: 0, slots: 1 };
  const register = () =>
    client.register(
      { workerId: name, runtime: 'none', version: '0', study: '', trainers: [], ...described },
      over.signal,
    );
  await register();
  const limit = setTimeout(() => over.abort(), rowMaxMs);
  await runSlot({
    ...{
      client,
      log: silentLog,
      clock: systemClock,
      leases: new Leases(),
      cache: new DatasetCache('', client, silentLog),
    },
    ...{ random: Math.random, mintId: randomUUID, workerId: name, study: name, trainers: [] },
    ...{ aheadRoundTrips: ahead, runnerFor: () => timed, register: () => register().then(() => undefined) },
    ...{ stopping: over.signal, ending: over.signal, over: new AbortController().signal },
  });
  clearTimeout(limit);
  const roundTripMs = client.roundTripMs ?? NaN;
  client.close();
  return { idleMs, roundTripMs };
}

const quantile = (values: readonly number[], share: number): string => {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[Math.floor(sorted.length * share)] ?? NaN).toFixed(2).padStart(8);
};

const directory = await mkdtemp(path.join(os.tmpdir(), 'parzen-bench-'));
const storage = await openStorage(directory, { log: silentLog });
const opened = await openContext(storage, silentLog, { serves: null });
const server = await startGrpcServer({
  ...opened,
  listen: '127.0.0.1:0',
  protoDirectory: path.join(import.meta.dirname, '..', '..', 'proto'),
});
const child = new ChildTrainer({ childPath: defaultChildPath(), args: ['instant', 'auto'], log: silentLog });
try {
  console.log(`load ${os.loadavg()[0]?.toFixed(1) ?? ''} on ${os.availableParallelism()} cores`);
  console.log('trainer              ahead   trials  round trip   idle p50   idle p90 (ms)');
  const rows: readonly (readonly [string, AttemptRunner])[] = [
    ['process, at once', child],
    ['pause of 10 ms', pause(10)],
    ['pause of 30 ms', pause(30)],
  ];
  for (const [name, runner] of rows)
    for (const ahead of [0, aheadRoundTripsDefault]) {
      const { idleMs, roundTripMs } = await runRow(opened, server.address, { runner, ahead });
      console.log(
        `${name.padEnd(20)} ${String(ahead).padStart(5)} ${String(idleMs.length + 1).padStart(8)} ` +
          `${roundTripMs.toFixed(2).padStart(11)} ${quantile(idleMs, 0.5).padStart(10)} ${quantile(idleMs, 0.9).padStart(10)}`,
      );
    }
} finally {
  await child.kill();
  await server.stop();
  await storage.close();
  await rm(directory, { recursive: true, force: true });
}
