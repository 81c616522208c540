import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { requestId, workerId, type LeaseToken } from '../../shared/core/ids.js';
import type { MonotonicClock } from '../../shared/platform/clock.js';
import { smallStudy, testApp } from '../../test/helpers/app.js';
import { createMemoryDatabase } from '../storage/memory/create-memory-storage.js';
import type { Storage } from '../storage/port.js';
import { AgreedClock } from './agreed-clock.js';
import { ask } from './ask.js';
import { createContext, type AppContext } from './context.js';
import { tokenFor } from './lease-token.js';
import { reconcileLeases } from './reconcile.js';
import { reclaim } from './release.js';
import { heartbeat } from './report.js';

const storeStartMs = Date.UTC(2030, 0, 1);

/** True time, and machines whose clocks differ from it. */
class Machines {
  trueMs = 0;

  readonly store = createMemoryDatabase(() => storeStartMs + this.trueMs);

  clock(aheadMs: number, bootedMs = aheadMs / 7): MonotonicClock {
    return {
      nowMs: () => storeStartMs + this.trueMs + aheadMs,
      monotonicMs: () => this.trueMs + bootedMs,
      sleep: (ms) => {
        this.trueMs += ms;
        return Promise.resolve();
      },
    };
  }

  /** A coordinator on a machine whose clock is so far ahead. */
  async replica(aheadMs: number): Promise<AppContext> {
    return contextOn(this.store.open(), this.clock(aheadMs));
  }
}

async function contextOn(storage: Storage, local: MonotonicClock): Promise<AppContext> {
  const clock = new AgreedClock(storage, local);
  await clock.agree();
  const mintToken: AppContext['mintToken'] = (study) => tokenFor(study, randomUUID());
  return createContext({
    ...testApp(storage).context,
    ...{ clock, agreeOnTime: () => clock.agree(), mintToken },
  });
}

/** Leases a trial through this replica. */
async function lease(context: AppContext): Promise<LeaseToken> {
  const request = { study: null, waitMs: 0, trainers: [], workerId: workerId('w1') };
  const outcome = await ask(
    context,
    { ...request, requestId: requestId(randomUUID()) },
    new AbortController().signal,
  );
  if (outcome.kind !== 'assigned') throw new Error(outcome.reason);
  return outcome.assignment.token;
}

describe('replicas whose clocks differ', () => {
  it.each([46_000, -46_000, 3_600_000])('take leases at their end, not before: %i ms', async (aheadMs) => {
    const machines = new Machines();
    const [punctual, skewed] = [await machines.replica(0), await machines.replica(aheadMs)];
    await testApp(punctual.storage).create(smallStudy());
    await testApp(punctual.storage).register('w1');
    for (const [giver, taker] of [
      [punctual, skewed],
      [skewed, punctual],
    ] as const) {
      const token = await lease(giver);
      const { leaseTtlMs } = giver.settings;
      machines.trueMs += leaseTtlMs - 1;
      expect(await reclaim(taker), 'before its end').toBe(0);
      await heartbeat(giver, workerId('w1'), [token]);
      machines.trueMs += leaseTtlMs - 1;
      expect(await reclaim(taker), 'after a heartbeat').toBe(0);
      machines.trueMs += 100;
      expect(await reclaim(taker), 'after its end').toBe(1);
    }
  });
});

describe('the agreed clock', () => {
  it('is within half a round trip after one measurement, and slow answers take nothing from it', async () => {
    const machines = new Machines();
    const trips = [10, 0, 4_000, 400];
    const storage = {
      nowMs: () => {
        const tripMs = trips.shift() ?? 0;
        // All of the way back.
        const answer = storeStartMs + machines.trueMs;
        machines.trueMs += tripMs;
        return Promise.resolve(answer);
      },
    };
    const clock = new AgreedClock(storage, machines.clock(3_600_000));
    const errorMs = () => clock.nowMs() - storeStartMs - machines.trueMs;
    await clock.agree();
    expect(errorMs()).toBe(-5);
    for (let slow = 0; slow < 3; slow += 1) {
      await clock.agree();
      expect(errorMs()).toBe(0);
    }
  });

  it('tells whole milliseconds, which messages and columns hold no parts of', async () => {
    const local = { ...new Machines().clock(0), monotonicMs: () => 0.25 };
    const clock = new AgreedClock({ nowMs: () => Promise.resolve(storeStartMs + 0.5) }, local);
    await clock.agree();
    expect(clock.nowMs()).toSatisfy(Number.isInteger);
  });

  it('follows the store where its clock is set anew, and not the machine where its own is', async () => {
    const machines = new Machines();
    let setMs = 0;
    const storage = { nowMs: () => Promise.resolve(storeStartMs + machines.trueMs + setMs) };
    const local = machines.clock(0);
    let stepMs = 0;
    const clock = new AgreedClock(storage, { ...local, nowMs: () => local.nowMs() + stepMs });
    await clock.agree();
    stepMs = 7_200_000;
    expect(clock.nowMs()).toBe(storeStartMs + machines.trueMs);
    setMs = -60_000;
    await clock.agree();
    expect(clock.nowMs()).toBe(storeStartMs + machines.trueMs - 60_000);
  });

  it('takes no lease when the store’s clock jumps ahead: workers get a lease time to be heard', async () => {
    const machines = new Machines();
    let jumpMs = 0;
    const storage = new Proxy(machines.store.open(), {
      get: (target, key: keyof Storage) =>
        key === 'nowMs'
          ? () => Promise.resolve(storeStartMs + machines.trueMs + jumpMs)
          : target[key].bind(target),
    });
    const over = new AbortController();
    const local: MonotonicClock = {
      ...machines.clock(0),
      sleep: (ms) => {
        machines.trueMs += ms;
        if (machines.trueMs > 60_000) jumpMs = 3_600_000;
        if (machines.trueMs > 90_000) over.abort();
        return Promise.resolve();
      },
    };
    await testApp(storage).create(smallStudy());
    await testApp(storage).register('w1');
    const context = await contextOn(storage, local);
    machines.trueMs = 50_000;
    const token = await lease(context);
    machines.trueMs = 0;
    await reconcileLeases(context, { intervalMs: 5_000, over: over.signal });
    expect(await context.storage.extendLeases([token], 0)).toEqual(['ok']);
  });
});
