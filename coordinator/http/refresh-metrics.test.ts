/** What a scrape shows of the database while the database comes and goes, and studies do. */
import { afterEach, describe, expect, it } from 'vitest';
import { startWatchListener } from '../../shared/platform/metrics-listener.js';
import { silentLog } from '../../shared/platform/log.js';
import type { Clock } from '../../shared/platform/clock.js';
import { smallStudy, testApp } from '../../test/helpers/app.js';
import { requireStudy } from '../app/study-view.js';
import { tell } from '../app/tell.js';
import { defaults } from '../config.js';
import { createMemoryStorage } from '../storage/memory/create-memory-storage.js';
import { observedStorage } from '../storage/observed-storage.js';
import { StorageUnavailable, type Storage } from '../storage/port.js';
import { CoordinatorMetrics } from './coordinator-metrics.js';
import { keepMetricsFresh } from './refresh-metrics.js';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Each read is followed by a sleep, which the test ends; a read has been made when the next sleep begins. */
class Rounds implements Clock {
  readonly #clock: Clock & { advance(ms: number): void };
  #wake: () => void = () => undefined;
  #slept: () => void = () => undefined;
  asleep: Promise<void>;

  constructor(clock: Clock & { advance(ms: number): void }) {
    this.#clock = clock;
    this.asleep = new Promise((resolve) => (this.#slept = resolve));
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  sleep(_ms: number, signal?: AbortSignal): Promise<void> {
    this.#slept();
    return new Promise((resolve) => {
      this.#wake = resolve;
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  /** One more read, so much later. */
  async later(ms: number): Promise<void> {
    await this.asleep;
    this.#clock.advance(ms);
    this.asleep = new Promise((resolve) => (this.#slept = resolve));
    this.#wake();
    await this.asleep;
  }
}

async function watched() {
  const memory = createMemoryStorage();
  let away: Error | null = null;
  const metrics = new CoordinatorMetrics({
    ...{ version: 'test', storage: 'memory', studiesMax: 10, operations: ['overview'], calls: [], codes: [] },
  });
  const storage: Storage = observedStorage(memory, metrics.store);
  const app = testApp(storage);
  await app.register('w1');
  const rounds = new Rounds(app.clock);
  const over = new AbortController();
  const { metricsRefreshMs: intervalMs, metricsStaleMs: staleMs, workerMemoryMs } = defaults;
  const overview: Storage['overview'] = (request) =>
    away === null ? storage.overview(request) : Promise.reject(away);
  const fresh = keepMetricsFresh(
    {
      ...{ metrics, storage: { overview }, clock: rounds, log: silentLog, random: () => 0.5, intervalMs },
      ...{ staleMs, finishedShownMs: defaults.metricsFinishedShownMs, workerMemoryMs },
      ...{ leaseTtlMs: defaults.leaseTtlMs, studiesMax: 10 },
    },
    over.signal,
  );
  const { registry } = metrics;
  const listener = await startWatchListener({
    ...{ listen: '127.0.0.1:0', option: '--metrics', registry, ready: () => true },
  });
  closing.push(async () => {
    over.abort();
    await fresh;
    await listener.close();
  });
  return {
    ...{ app, rounds },
    setAway: (now: boolean) => (away = now ? new StorageUnavailable('away') : null),
    failWith: (error: Error) => (away = error),
    scrape: async (): Promise<string> => {
      const page = await fetch(`http://${listener.address}/metrics`);
      expect(page.status).toBe(200);
      return page.text();
    },
    /** Runs the study's one trial. */
    finish: async (study: string) => {
      const outcome = await app.ask({ study });
      if (outcome.kind !== 'assigned') throw new Error(outcome.reason);
      await tell(app.context, {
        token: outcome.assignment.token,
        outcome: { kind: 'completed', metrics: { auc: 0.5, dir_acc: 0.5 } },
        peakMemoryBytes: null,
      });
    },
  };
}

/** Names of the series that say something of a study, or come from the database. */
const about = (page: string, study: string): readonly string[] =>
  page.split('\n').filter((line) => line.includes(`study="${study}"`));
const overdue = /^parzen_lease_overdue_seconds /m;
const refreshedAt = (page: string): number =>
  Number(/^parzen_metrics_last_refresh_timestamp_seconds (\S+)/m.exec(page)?.[1]);

describe('metrics of the database', () => {
  it('stay for a minute while it is away, then go, and come back with it; the rest is shown throughout', async () => {
    const { app, rounds, setAway, scrape } = await watched();
    await app.create(smallStudy({ name: 'one' }), 3);
    await rounds.later(0);
    const before = await scrape();
    expect(before).toMatch(/^parzen_trials_remaining\{study="one"\} 3$/m);
    expect(before).toMatch(overdue);

    setAway(true);
    await rounds.later(59_000);
    expect(await scrape()).toMatch(/^parzen_trials_remaining\{study="one"\} 3$/m);
    await rounds.later(1_000);
    const down = await scrape();
    for (const name of ['study_info', 'trials', 'trials_target', 'trials_remaining', 'workers'])
      expect(down).not.toMatch(new RegExp(`^parzen_${name}[{ ]`, 'm'));
    expect(down).not.toMatch(overdue);
    expect(refreshedAt(down)).toBe(refreshedAt(before));
    expect(down).toMatch(/^parzen_build_info\{/m);
    expect(down).toMatch(
      /^parzen_trials_finished_total\{study="one",state="COMPLETE",reason="finished"\} 0$/m,
    );

    setAway(false);
    await rounds.later(15_000);
    const back = await scrape();
    expect(back).toMatch(/^parzen_trials_remaining\{study="one"\} 3$/m);
    expect(back).toMatch(overdue);
    expect(refreshedAt(back)).toBe(refreshedAt(before) + 75);
  });

  it('forget a study an hour after its last trial, and keep the others', async () => {
    const { app, rounds, scrape, finish } = await watched();
    for (const name of ['short', 'long']) await app.create(smallStudy({ name }), name === 'short' ? 1 : 2);
    await finish('short');
    await rounds.later(0);
    const page = await scrape();
    expect(page).toMatch(/^parzen_best_value\{study="short",objective="score"\} 0.5$/m);
    expect(page).toMatch(
      /^parzen_trials_finished_total\{study="short",state="COMPLETE",reason="finished"\} 1$/m,
    );
    await rounds.later(defaults.metricsFinishedShownMs - 1_000);
    expect(about(await scrape(), 'short').length).toBe(about(page, 'short').length);
    await rounds.later(2_000);
    const after = await scrape();
    expect(about(after, 'short')).toEqual([]);
    expect(about(after, 'long').length).toBe(about(page, 'long').length);
  });

  it('are read again after a read that fails for any other reason, and gone while it does', async () => {
    const { app, rounds, setAway, failWith, scrape } = await watched();
    await app.create(smallStudy({ name: 'one' }), 3);
    await rounds.later(0);
    failWith(new RangeError('value out of range: overflow'));
    await rounds.later(30_000);
    expect(await scrape()).toMatch(/^parzen_trials_remaining\{study="one"\} 3$/m);
    await rounds.later(30_000);
    expect(await scrape()).not.toMatch(/^parzen_trials_remaining/m);
    setAway(false);
    await rounds.later(15_000);
    expect(await scrape()).toMatch(/^parzen_trials_remaining\{study="one"\} 3$/m);
  });

  it('say nothing of a deleted study when another gets its name', async () => {
    const { app, rounds, scrape, finish } = await watched();
    await app.create(smallStudy({ name: 'again' }), 1);
    await finish('again');
    await rounds.later(0);
    expect(await scrape()).toMatch(/^parzen_best_value\{study="again",objective="score"\} 0.5$/m);
    const { id } = await requireStudy(app.context, 'again');
    await app.context.storage.deleteStudy(id);
    await app.create(smallStudy({ name: 'again' }), 5);
    await rounds.later(15_000);
    const page = await scrape();
    expect(page).toMatch(/^parzen_trials_remaining\{study="again"\} 5$/m);
    expect(page).not.toMatch(/^parzen_best_value/m);
    expect(page).toMatch(
      /^parzen_trials_finished_total\{study="again",state="COMPLETE",reason="finished"\} 0$/m,
    );
    expect(page.match(/^parzen_study_info\{study="again"/gm)).toHaveLength(1);
  });
});
