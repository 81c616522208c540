/**
 * Workers that keep a trial to themselves, in silence, until it has been given to another, and tell what came of it while the
 * other one runs it: the moment in which a coordinator that looks at trials and not at tokens would count the wrong result.
 * What they tell is made from the lease and nothing else, so the audit sees whose result was counted.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLog } from '../../shared/platform/log.js';
import { systemClock } from '../../shared/platform/clock.js';
import type { Metrics } from '../../shared/core/study/trial.js';
import { NothingToDo_Reason, type Assignment } from '../../shared/wire/gen/parzen/v1/trial.js';
import { CoordinatorClient } from '../../worker/agent/coordinator-client.js';
import type { JournalEntry } from '../../worker/agent/journal.js';
import { instantMetrics } from '../../worker/trainers/instant.js';
import { Draw } from '../sim/draw.js';

/** No real worker has this trainer, so trials of its studies are for stragglers alone. */
export const stragglersTrainer = 'straggle';

export const metricsOfLease = (token: string): Metrics => instantMetrics({ lease: token });

const stragglers = 6;
const silentChance = 0.6;
/** … so that somebody is there to be given the trial. */
const silentAtOnceMax = stragglers / 2;
/** A lease runs out and the trial is given out again well within this time, unless the cluster is down. */
const silentMaxMs = 15_000;
/** Within the shortest lease. */
const beatEveryMs = 400;
/** A lease that another's late result is waited for is kept alive no longer than this. */
const waitForOtherMaxMs = 10_000;
const idlePauseMs = 300;

/** What becomes of a trial in somebody's hands. */
class Holding {
  /** Another has been given the trial. */
  readonly passedOn = new AbortController();
  readonly told = new AbortController();
}

export class Stragglers {
  readonly journal: JournalEntry[] = [];
  /** Ends that nobody asked for. */
  readonly problems: string[] = [];
  /** Results told while another one held the trial. */
  toldTooLate = 0;
  readonly #address: string;
  readonly #draw: Draw;
  readonly #held = new Map<string, Holding>();
  readonly #ended = new AbortController();
  readonly #working: readonly Promise<void>[];
  #inPeace = false;
  #silent = 0;

  constructor(address: string, seed: number) {
    this.#address = address;
    this.#draw = new Draw(seed);
    this.#working = Array.from({ length: stragglers }, (_, index) =>
      this.#work(`straggler-${index}`).catch((error: unknown) => {
        if (!this.#ended.signal.aborted)
          this.problems.push(`straggler ${index} ended by itself: ${String(error)}`);
      }),
    );
  }

  /** From now on they work like everybody else. */
  beGood(): void {
    this.#inPeace = true;
    for (const { passedOn } of this.#held.values()) passedOn.abort();
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await Promise.all(this.#working);
  }

  async #work(workerId: string): Promise<void> {
    const { signal } = this.#ended;
    const client = new CoordinatorClient({
      ...{ address: this.#address, clock: systemClock, log: silentLog, random: Math.random },
    });
    try {
      const trainers = [stragglersTrainer];
      const device = {
        host: 'chaos',
        gpuUuid: '',
        gpuName: '',
        gpuMemoryBytes: 0,
        runtime: '',
        version: '0',
      };
      const register = () => client.register({ ...device, workerId, slots: 1, study: '', trainers }, signal);
      await register();
      while (!signal.aborted) {
        const request = { requestId: randomUUID(), workerId, study: null, trainers, ahead: false };
        const outcome = await client.ask(request, signal);
        if (outcome?.$case === 'assignment') await this.#run(client, workerId, outcome.value);
        else if (outcome?.value.reason === NothingToDo_Reason.UNKNOWN_WORKER) await register();
        else await systemClock.sleep(idlePauseMs, signal);
      }
    } finally {
      client.close();
    }
  }

  async #run(client: CoordinatorClient, worker: string, assignment: Assignment): Promise<void> {
    const { leaseToken: token, study, number, attempt } = assignment;
    const trial = `${study} ${number}`;
    const own = new Holding();
    const other = this.#held.get(trial);
    this.#held.set(trial, own);
    other?.passedOn.abort();
    if (other !== undefined) await this.#keepUntil(other.told.signal, { client, worker, token });
    else if (!this.#inPeace && this.#silent < silentAtOnceMax && this.#draw.chance(silentChance)) {
      this.#silent += 1;
      await systemClock.sleep(silentMaxMs, own.passedOn.signal);
      this.#silent -= 1;
    }
    await sleep(this.#draw.skewed(10, 300));
    const later = this.#held.get(trial);
    if (later !== own && later?.told.signal.aborted === false) this.toldTooLate += 1;
    const metrics = metricsOfLease(token);
    const value = { metrics: { ...metrics } };
    const answer = await client.tell(
      { leaseToken: token, outcome: { $case: 'completed', value }, peakMemoryBytes: 0 },
      this.#ended.signal,
    );
    this.journal.push({ worker, study, trial: number, attempt, token, outcome: 'done', metrics, answer });
    own.told.abort();
    if (this.#held.get(trial) === own) this.#held.delete(trial);
  }

  /** Keeps a lease alive until `told` aborts, within bounds. */
  async #keepUntil(
    told: AbortSignal,
    {
      client,
      worker,
      token,
    }: { readonly client: CoordinatorClient; readonly worker: string; readonly token: string },
  ): Promise<void> {
    const untilMs = performance.now() + waitForOtherMaxMs;
    while (!told.aborted && performance.now() < untilMs) {
      await client.heartbeat(worker, [token], this.#ended.signal).catch(() => undefined);
      await systemClock.sleep(beatEveryMs, AbortSignal.any([told, this.#ended.signal]));
      if (this.#ended.signal.aborted) return;
    }
  }
}
