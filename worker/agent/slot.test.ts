/** One slot on a virtual clock: what it asks, runs, tells and gives back, and when. */
import { describe, expect, it } from 'vitest';
import { status } from '@grpc/grpc-js';
import { silentLog } from '../../shared/platform/log.js';
import { RpcError } from '../../shared/wire/call.js';
import { AskResponse, LeaseAnswer, TellResponse_Result } from '../../shared/wire/gen/parzen/v1/trial.js';
import { artifactBytesMax } from '../../shared/wire/limits.js';
import { TrialState } from '../../shared/wire/gen/parzen/v1/common.js';
import { Scheduler } from '../../test/sim/scheduler.js';
import { SimProcess } from '../../test/sim/sim-process.js';
import type { AttemptResult } from '../trainers/child-trainer.js';
import { CoordinatorClient } from './coordinator-client.js';
import { DatasetCache } from './dataset-cache.js';
import { keepBeating } from './heartbeat.js';
import { Leases } from './leases.js';
import { shutdownPhases } from './shutdown-phases.js';
import { runSlot } from './slot.js';
import { aborted } from './slot-options.js';
import type { TrialCalls } from './trial-calls.js';

/** Every call takes this long, ms; a trial is short below ten times that. */
const roundTripMs = 50;

interface Plan {
  /** How long each trial takes, ms, in order of their numbers. */
  readonly lengthsMs: readonly number[];
  readonly aheadRoundTrips?: number;
  readonly drainMs?: number;
  readonly resultOf?: (number: number) => AttemptResult;
  /** How the first attempts to leave a file fail. */
  readonly puts?: status[];
  /** Called at these times, ms. */
  readonly at?: Readonly<Record<number, (slot: { stop: () => void; leases: Leases }) => void>>;
}

const done: AttemptResult = { kind: 'done', metrics: { auc: 0.5 }, peakMemoryBytes: null };

/** What starts at once has started. */
const begun = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Runs a slot until its trials are used up, or it is stopped; what happened, with times. */
async function happenings(plan: Plan): Promise<readonly string[]> {
  const scheduler = new Scheduler();
  const { clock } = new SimProcess(scheduler, 'worker');
  const lines: string[] = [];
  const say = (what: string): void => void lines.push(`${scheduler.nowMs} ${what}`);
  const stopping = new AbortController();
  const settled = new AbortController();
  const leases = new Leases();
  let asked = 0;
  const answered = async <T>(value: T, signal?: AbortSignal): Promise<T> => {
    await clock.sleep(roundTripMs, signal);
    if (signal?.aborted === true) throw new Error('cancelled');
    return value;
  };
  const never = (): Promise<never> => Promise.reject(new Error('not expected'));
  const calls: TrialCalls = {
    ...{ register: never, report: never, heartbeat: never, close: () => undefined },
    ask: async ({ ahead }, { signal }) => {
      say(ahead ? 'ask ahead' : 'ask');
      const number = asked;
      asked += 1;
      if (number >= plan.lengthsMs.length) {
        if (!ahead) stopping.abort();
        return answered(AskResponse.fromPartial({ outcome: { $case: 'nothing', value: {} } }));
      }
      const value = { study: 's', number, attempt: 1, leaseToken: `t${number}`, evaluationJson: '{}' };
      return answered(AskResponse.fromPartial({ outcome: { $case: 'assignment', value } }), signal);
    },
    tell: ({ leaseToken, outcome }) => {
      say(`tell ${leaseToken} ${outcome?.$case ?? ''}`);
      return answered({ result: TellResponse_Result.RECORDED, state: TrialState.COMPLETE });
    },
    release: ({ lease, unfit, unstarted }) => {
      const kind = unfit ? ' unfit' : unstarted ? ' unstarted' : '';
      say(`release ${lease?.$case === 'leaseToken' ? lease.value : 'what was asked for'}${kind}`);
      return answered({ released: true });
    },
    putArtifact: ({ leaseToken, name, content }) => {
      say(`put ${leaseToken} ${name} ${content.toString()}`);
      const refusal = content.toString() === 'refused' ? status.INVALID_ARGUMENT : plan.puts?.shift();
      if (refusal !== undefined) return Promise.reject(new RpcError(refusal, 'no'));
      return answered({ answer: LeaseAnswer.OK });
    },
    fetchDataset: () => {
      throw new Error('not expected');
    },
  };
  const client = new CoordinatorClient({ address: '', clock, log: silentLog, random: () => 0, calls });
  const phases = shutdownPhases({
    ...{ clock, stopping: stopping.signal, hurry: new AbortController().signal },
    ...{ drainMs: plan.drainMs ?? 0, settled: settled.signal },
  });
  for (const [ms, act] of Object.entries(plan.at ?? {}))
    scheduler.after(Number(ms), () => act({ stop: () => stopping.abort(), leases }));
  const slot = runSlot({
    ...{ client, leases, clock, log: silentLog, workerId: 'w', study: null, trainers: [] },
    ...{ cache: new DatasetCache('', client, silentLog), mintId: () => 'r', random: () => 0 },
    ...{ aheadRoundTrips: plan.aheadRoundTrips ?? 10, register: never, ...phases },
    runnerFor: () => ({
      run: async ({ number }, { signal }) => {
        say(`run ${number}, holding ${leases.tokens().join(' ')}`);
        await clock.sleep(plan.lengthsMs[number] ?? 0, signal);
        say(`end ${number}`);
        return signal.aborted ? { kind: 'stopped' } : (plan.resultOf?.(number) ?? done);
      },
      kill: () => Promise.resolve(),
    }),
  });
  const ended = slot.finally(() => settled.abort());
  ended.catch(() => undefined);
  await begun();
  while (!aborted(settled.signal) && (await scheduler.step()));
  await ended;
  say('over');
  return lines;
}

/** Without their times. */
const bare = (lines: readonly string[]): readonly string[] => lines.map((line) => line.replace(/^\d+ /, ''));
/** From the end of a trial to the start of the next, ms. */
function idleMs(lines: readonly string[]): readonly number[] {
  const ends = lines.filter((line) => / end /.test(line)).map(parseFloat);
  const starts = lines.filter((line) => / run /.test(line)).map(parseFloat);
  return starts.slice(1).map((start, index) => start - (ends[index] ?? NaN));
}

describe('a slot', () => {
  it('asks for the next trial while a short one runs, so that the trainer need not wait', async () => {
    const lengthsMs = [100, 100, 100, 100, 100];
    expect(idleMs(await happenings({ lengthsMs, aheadRoundTrips: 0 }))).toEqual([100, 100, 100, 100]);
    // The first two tell that trials are short.
    expect(idleMs(await happenings({ lengthsMs }))).toEqual([100, 100, 0, 0]);
    // Trials of ten round trips and more are none of them.
    expect(idleMs(await happenings({ lengthsMs: [500, 500, 500, 500] }))).toEqual([100, 100, 100]);
  });

  it('leaves the files of a trial with it before its result is told, and tells that without one that is refused', async () => {
    const artifact = (text: string) =>
      ({ name: 'forecasts', layout: 'l', content: Buffer.from(text) }) as const;
    const files = [[artifact('small')], [artifact('refused'), artifact('second')], []];
    const lines = await happenings({
      lengthsMs: [900, 900, 900],
      resultOf: (number) => ({ ...done, artifacts: files[number] ?? [] }),
    });
    expect(bare(lines).filter((line) => /^(put|tell)/.test(line))).toEqual([
      'put t0 forecasts small',
      'tell t0 completed',
      'put t1 forecasts refused',
      'put t1 forecasts second',
      'tell t1 completed',
      'tell t2 completed',
    ]);
    const putsOf = async (puts: status[]) => {
      const trial = { lengthsMs: [900], puts, resultOf: () => ({ ...done, artifacts: [artifact('x')] }) };
      const happened = bare(await happenings(trial)).filter((line) => /^(put|tell)/.test(line));
      expect(happened.at(-1)).toBe('tell t0 completed');
      return happened.length - 1;
    };
    // It is worth waiting for a coordinator that is away; whoever refuses goes on to refuse.
    expect(await putsOf(Array.from({ length: 40 }, () => status.UNAVAILABLE))).toBe(41);
    expect(await putsOf(Array.from({ length: 40 }, () => status.RESOURCE_EXHAUSTED))).toBe(5);
    expect(await putsOf([status.DEADLINE_EXCEEDED])).toBe(2);
    const tooLarge = await happenings({
      lengthsMs: [900],
      resultOf: () => ({ ...done, artifacts: [artifact('x'.repeat(artifactBytesMax + 1))] }),
    });
    expect(bare(tooLarge).filter((line) => /^(put|tell)/.test(line))).toEqual(['tell t0 completed']);
  });

  it('runs every trial once, tells every result, and keeps all its leases alive meanwhile', async () => {
    const lines = bare(await happenings({ lengthsMs: [100, 100, 100, 100] }));
    expect(lines.filter((line) => line.startsWith('run'))).toEqual([
      'run 0, holding t0',
      'run 1, holding t1',
      'run 2, holding t2',
      // The result of the one before is on its way.
      'run 3, holding t2 t3',
    ]);
    expect(lines.filter((line) => line.startsWith('tell'))).toEqual(
      [0, 1, 2, 3].map((number) => `tell t${number} completed`),
    );
    expect(lines.filter((line) => line.startsWith('release'))).toEqual([]);
  });

  it('gives back what it asked for ahead when a trial turns out long, and asks again when it is over', async () => {
    const lines = await happenings({ lengthsMs: [100, 100, 5_000, 100, 100] });
    const run = parseFloat(lines.find((line) => line.includes('run 2'))!);
    expect(lines).toContain(`${run} ask ahead`);
    // After twice ten round trips.
    expect(lines).toContain(`${run + 1_000} release t3 unstarted`);
    expect(bare(lines)).not.toContain('run 3, holding t3');
    expect(bare(lines)).toContain('run 4, holding t4');
  });

  it('gives back what it asked for ahead as soon as it is stopped, while the running trial may end', async () => {
    const stop = { 530: ({ stop: now }: { stop: () => void }) => now() };
    const lines = await happenings({ lengthsMs: [100, 100, 400, 100], drainMs: 6_000, at: stop });
    expect(lines).toContain('530 release t3 unstarted');
    expect(bare(lines).slice(-3)).toEqual(['end 2', 'tell t2 completed', 'over']);
  });

  it('gives the running trial back when it does not end in time', async () => {
    const stop = { 530: ({ stop: now }: { stop: () => void }) => now() };
    const lines = await happenings({ lengthsMs: [100, 100, 60_000], drainMs: 6_000, at: stop });
    expect(lines.slice(-3)).toEqual(['6530 end 2', '6530 release t2', '6580 over']);
  });

  it('gives back what an ask may have been answered with that the end cut short', async () => {
    const lines = await happenings({ lengthsMs: [100], at: { 20: ({ stop: now }) => now() } });
    expect(lines).toEqual(['0 ask', '20 release what was asked for unstarted', '70 over']);
  });

  it('does not run what was taken away while it waited', async () => {
    const lose = { 520: ({ leases }: { leases: Leases }) => leases.answer('t3', 'lost') };
    const lines = bare(await happenings({ lengthsMs: [100, 100, 100, 100, 100], at: lose }));
    expect(lines.filter((line) => /run 3|tell t3|release/.test(line))).toEqual([]);
    expect(lines).toContain('run 4, holding t4');
  });

  it('keeps nothing waiting when its machine cannot run trials', async () => {
    const resultOf = (number: number): AttemptResult =>
      number === 2 ? { kind: 'unfit', message: 'no runtime' } : done;
    const lines = bare(await happenings({ lengthsMs: [100, 100, 100, 100, 100], resultOf }));
    expect(lines).toContain('release t2 unfit');
    expect(lines).toContain('release t3 unstarted');
  });
});

describe('heartbeats', () => {
  async function beat(tokens: number, known: boolean) {
    const scheduler = new Scheduler();
    const { clock } = new SimProcess(scheduler, 'worker');
    const sizes: number[] = [];
    const ended = new AbortController();
    let registered = 0;
    const calls = {
      heartbeat: ({ leaseTokens }: { leaseTokens: string[] }) => {
        sizes.push(leaseTokens.length);
        return Promise.resolve({
          answers: leaseTokens.map(() => LeaseAnswer.OK),
          knownWorker: known || registered > 0,
        });
      },
    } as unknown as TrialCalls;
    const client = new CoordinatorClient({ address: '', clock, log: silentLog, random: () => 0, calls });
    const leases = new Leases();
    for (let each = 0; each < tokens; each += 1) leases.hold(`t${each}`);
    const register = async (): Promise<void> => {
      await clock.sleep(15_000);
      registered += 1;
    };
    scheduler.after(45_000, () => ended.abort());
    const beating = keepBeating({
      ...{ client, leases, clock, log: silentLog, workerId: 'w', register },
      ...{ intervalMs: 10_000, ended: ended.signal },
    });
    await begun();
    while (await scheduler.step());
    await beating;
    return { sizes, registered };
  }

  it('go on while a worker that is not known any more registers again, once', async () => {
    expect(await beat(1, false)).toEqual({ sizes: [1, 1, 1, 1], registered: 1 });
    // Without leases every other one will do.
    expect(await beat(0, true)).toEqual({ sizes: [0, 0], registered: 0 });
  });

  it('carry no more leases than the contract allows', async () => {
    expect((await beat(1_030, true)).sizes.slice(0, 2)).toEqual([1_024, 6]);
  });
});
