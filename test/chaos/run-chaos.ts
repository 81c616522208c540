/** One run: faults for a while, then peace until every study is over, then the audit. */
import { setTimeout as sleep } from 'node:timers/promises';
import { audit, readJournals, violationsNow, type Audit } from './audit.js';
import { ChaosCluster, type ClusterOptions } from './cluster.js';
import { inflict } from './inflict.js';
import { People, type Progress } from './people.js';
import { drawPlan } from './plan.js';
import { Stragglers } from './stragglers.js';

export interface ChaosOptions extends ClusterOptions {
  readonly seed: number;
  readonly seconds: number;
  /** One line of news, for people who wait. */
  readonly print: (line: string) => void;
  /** Leave logs and journals where they are. */
  readonly keep?: boolean;
  /** Aborts to end the run early, without an audit. */
  readonly stopping?: AbortSignal;
}

export interface ChaosResult extends Audit {
  readonly faults: ReadonlyMap<string, number>;
  readonly starts: { readonly coordinators: number; readonly workers: number };
  readonly looks: number;
  /** Results told while another worker held the trial. */
  readonly toldTooLate: number;
}

/**
 * In peace, some trial finishes within this time: leases run out, and retries reach their longest pause. What is left may be
 * a lot, and the machine busy with other things, so how long all of it takes is no promise.
 */
const stallLimitMs = 60_000;
const lookEveryMs = 1_000;
/** A run of this length has some results that come too late. */
const provingSeconds = 30;
/** A worker or coordinator that is stopped is gone within this time. */
const shutdownLimitMs = 15_000;

export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { seed, seconds, print, keep = false, stopping = new AbortController().signal } = options;
  const cluster = await ChaosCluster.start(options);
  const { version } = await versionOf(cluster);
  print(
    `seed ${seed}: ${seconds} s of faults on PostgreSQL ${version}, ${cluster.coordinators.length} coordinators, ${cluster.workers.length} workers`,
  );
  const people = new People(cluster.peopleLink.address, seed);
  const stragglers = new Stragglers(cluster.peopleLink.address, seed);
  try {
    const problems: string[] = [];
    const counts = new Map<string, number>();
    const looks = await underFire({ cluster, people, counts, problems }, { seed, seconds, stopping });
    print(`peace after ${[...counts.values()].reduce((sum, count) => sum + count, 0)} faults`);
    stragglers.beGood();
    await cluster.heal();
    const { tookMs, finishedInPeace, open } = await untilFinished(people, stopping);
    const peace = `${(tookMs / 1_000).toFixed(1)} s and ${finishedInPeace} trials later`;
    if (open.length === 0) print(`every study over ${peace}`);
    else
      problems.push(
        `no trial finished in peace for ${stallLimitMs / 1_000} s, and ${open.join(', ')} not over ${peace}`,
      );
    await stragglers.stop();
    problems.push(...stragglers.problems);
    for (const { tookMs: ms, code } of await cluster.stop())
      // One that was just starting has nothing to give back, and ends by the signal itself.
      if (ms > shutdownLimitMs || (code !== 0 && code !== null))
        problems.push(`a shutdown took ${Math.round(ms)} ms and ended with ${code ?? 'a signal'}`);
    for (const { name, how, lastWords } of cluster.crashes)
      problems.push(`${name} ended by itself (${how}): ${lastWords}`);
    const journal = [...readJournals(cluster.directory), ...stragglers.journal];
    const audited = await audit(cluster.database, journal, people.enqueued);
    const { toldTooLate } = stragglers;
    if (audited.acknowledged === 0) problems.push('nothing was acknowledged, so nothing is proved');
    if (toldTooLate === 0 && seconds >= provingSeconds)
      problems.push('no result was told while another held the trial, so nothing is proved of tokens');
    const sum = (all: readonly { readonly starts: number }[]): number =>
      all.reduce((total, { starts }) => total + starts, 0);
    return {
      ...audited,
      ...{ problems: [...problems, ...audited.problems], faults: counts, looks, toldTooLate },
      starts: { coordinators: sum(cluster.coordinators), workers: sum(cluster.workers) },
    };
  } finally {
    people.close();
    await stragglers.stop();
    if (keep) print(`logs and journals are in ${cluster.directory}`);
    await cluster.remove(keep);
  }
}

async function versionOf({ database }: ChaosCluster): Promise<{ readonly version: string }> {
  const { run } = await import('../helpers/postgres.js');
  const [row] = await run(database, `select current_setting('server_version') as version`);
  return { version: String(row?.['version']) };
}

interface Fire {
  readonly cluster: ChaosCluster;
  readonly people: People;
  readonly counts: Map<string, number>;
  readonly problems: string[];
}

/** Inflicts the plan while people work and the database is looked at. Answers how many looks succeeded. */
async function underFire(
  { cluster, people, counts, problems }: Fire,
  {
    seed,
    seconds,
    stopping,
  }: { readonly seed: number; readonly seconds: number; readonly stopping: AbortSignal },
): Promise<number> {
  const ended = new AbortController();
  const over = AbortSignal.any([ended.signal, stopping]);
  const working = people.work(over);
  let looks = 0;
  const looking = (async () => {
    while (!over.aborted) {
      await sleep(lookEveryMs, undefined, { signal: over }).catch(() => undefined);
      await violationsNow(cluster.database).then(
        (found) => {
          looks += 1;
          problems.push(...found.map((each) => `under fire: ${each}`));
        },
        // The database is away, or the first coordinator has not made the schema yet.
        () => undefined,
      );
    }
  })();
  const startMs = performance.now();
  const under: Promise<void>[] = [];
  for (const fault of drawPlan(seed, seconds)) {
    await sleep(Math.max(0, startMs + fault.atMs - performance.now()), undefined, { signal: stopping }).catch(
      () => undefined,
    );
    if (stopping.aborted) break;
    under.push(inflict(fault, { cluster, people, over, counts }));
  }
  await sleep(Math.max(0, startMs + seconds * 1_000 - performance.now()), undefined, {
    signal: stopping,
  }).catch(() => undefined);
  ended.abort();
  await Promise.all([working, looking, ...under]);
  return looks;
}

interface Peace {
  readonly tookMs: number;
  readonly finishedInPeace: number;
  /** Studies that came to no end. */
  readonly open: readonly string[];
}

/** Until every study is over, or none goes on. */
async function untilFinished(people: People, stopping: AbortSignal): Promise<Peace> {
  const startMs = performance.now();
  let progressMs = startMs;
  let first: number | null = null;
  let last: Progress = { open: ['every study'], finished: 0 };
  while (last.open.length > 0 && performance.now() - progressMs < stallLimitMs && !stopping.aborted) {
    // Coordinators may still be starting.
    const now = await people.progress().catch(() => null);
    if (now !== null) {
      first ??= now.finished;
      if (now.finished > last.finished) progressMs = performance.now();
      last = now;
    }
    if (last.open.length > 0) await sleep(200);
  }
  return {
    ...{ tookMs: performance.now() - startMs, open: last.open },
    finishedInPeace: last.finished - (first ?? last.finished),
  };
}
