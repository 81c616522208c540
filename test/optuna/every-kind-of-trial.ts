/** Studies with every kind of trial there can be, and what a reader with Optuna must see of them. */
import { requestId, workerId } from '../../shared/core/ids.js';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import type { Storage, StudyTransaction } from '../../coordinator/storage/port.js';
import { completed, created, lease, running, t0, waiting } from '../contract/storage-fixtures.js';

/** A trial as Optuna has it. Numbers that JSON lacks are texts: "NaN", "Infinity", "-Infinity". */
export interface OptunaTrial {
  readonly number: number;
  readonly state: string;
  readonly values: readonly unknown[] | null;
  readonly params: Readonly<Record<string, unknown>>;
  readonly userAttrs: Readonly<Record<string, unknown>>;
  readonly systemAttrs: Readonly<Record<string, unknown>>;
  readonly intermediate: Readonly<Record<string, unknown>>;
  readonly startMs: number | null;
  readonly completeMs: number | null;
}

type NewTrial = Parameters<StudyTransaction['insertTrial']>[0];

interface Case {
  readonly trial: Partial<NewTrial>;
  readonly reports?: Readonly<Record<number, Readonly<Record<string, number>>>>;
  /** What the trial becomes after its reports. */
  readonly end?: Partial<NewTrial>;
  readonly seen: Omit<OptunaTrial, 'number'>;
}

const space: StudyDefinition['space'] = [
  { kind: 'float', name: 'rate', low: 1e-7, high: 1, log: true, step: null },
  { kind: 'float', name: 'drop', low: 0, high: 0.9, log: false, step: 0.3 },
  { kind: 'int', name: 'window', low: 16, high: 256, log: false, step: 8 },
  { kind: 'int', name: 'units', low: 1, high: 64, log: true, step: 1 },
  { kind: 'categorical', name: 'kind', choices: ['a', null, true, 0, 2.5, 'é"\\'] },
];

/** As `json_to_distribution` reads them. */
export const distributionsSeen = {
  rate: { name: 'FloatDistribution', attributes: { low: 1e-7, high: 1, log: true, step: null } },
  drop: { name: 'FloatDistribution', attributes: { low: 0, high: 0.9, log: false, step: 0.3 } },
  window: { name: 'IntDistribution', attributes: { low: 16, high: 256, log: false, step: 8 } },
  units: { name: 'IntDistribution', attributes: { low: 1, high: 64, log: true, step: 1 } },
  kind: { name: 'CategoricalDistribution', attributes: { choices: ['a', null, true, 0, 2.5, 'é"\\'] } },
};

const params = { rate: 0.01, drop: 0.3, window: 24, units: 7, kind: 'a' };
const seen: Omit<OptunaTrial, 'number'> = {
  state: 'COMPLETE',
  values: [0.5],
  params,
  userAttrs: { 'parzen:worker': 'worker-1' },
  systemAttrs: {},
  intermediate: {},
  startMs: t0 + 1,
  completeMs: t0 + 2,
};
const done = completed([0.5]);
const unfinished = { values: null, completeMs: null };
const failed = { state: 'FAIL', lease: null, finishedAtMs: t0 + 2 } as const;

/** The report at one step that fills in both metrics of the objective 0.7 zeta + 0.3 alpha. */
const both = (zeta: number, alpha: number) => ({ zeta, alpha });

const cases: readonly Case[] = [
  {
    trial: { params },
    reports: {
      0: both(0.5, 0.25),
      1: both(NaN, 1),
      2: both(Infinity, 1),
      3: both(-Infinity, 1),
      4: { zeta: 1 },
      5: both(1.7e308, 1.7e308),
      6: both(-1.7e308, 5e-324),
      7: both(5e-324, 0),
    },
    end: {
      ...done,
      metrics: { zeta: 0.5, alpha: NaN, up: Infinity, down: -Infinity, tiny: 1e-300, big: 1e300, n: 3 },
    },
    seen: {
      ...seen,
      userAttrs: {
        ...{ zeta: 0.5, alpha: 'NaN', up: 'Infinity', down: '-Infinity', tiny: 1e-300, big: 1e300, n: 3 },
        'parzen:worker': 'worker-1',
      },
      intermediate: {
        ...{ 0: 0.7 * 0.5 + 0.3 * 0.25, 1: 'NaN', 2: 'Infinity', 3: '-Infinity' },
        ...{ 5: 'Infinity', 6: '-Infinity', 7: 5e-324 },
      },
    },
  },
  {
    trial: { params: { ...params, kind: null, rate: 1e-7, drop: 0.9 } },
    end: { ...done, values: [-Infinity] },
    seen: { ...seen, values: ['-Infinity'], params: { ...params, kind: null, rate: 1e-7, drop: 0.9 } },
  },
  {
    // 1 is the choice true, as for the sampler.
    trial: { params: { ...params, kind: 1 } },
    end: { ...done, values: [Infinity] },
    seen: { ...seen, values: ['Infinity'], params: { ...params, kind: true } },
  },
  {
    trial: { params: { ...params, kind: 2.5 } },
    reports: { 3: both(1, 1) },
    end: { ...done, state: 'PRUNED', reason: 'pruner', values: [] },
    seen: {
      ...seen,
      state: 'PRUNED',
      values: null,
      params: { ...params, kind: 2.5 },
      userAttrs: { 'parzen:worker': 'worker-1', 'parzen:reason': 'pruner' },
      intermediate: { 3: 1 },
    },
  },
  {
    trial: { params: { ...params, kind: 0 }, attempt: 3 },
    end: { ...failed, reason: 'oom', message: 'line 1\n"quoted" é' },
    seen: {
      ...seen,
      state: 'FAIL',
      values: null,
      params: { ...params, kind: 0 },
      userAttrs: {
        ...{ 'parzen:worker': 'worker-1', 'parzen:attempt': 3, 'parzen:reason': 'oom' },
        'parzen:message': 'line 1\n"quoted" é',
      },
    },
  },
  {
    trial: { params, given: { rate: 3, window: 227 }, offGrid: true },
    end: { ...done, state: 'CANCELLED', reason: 'cancelled', values: [] },
    seen: {
      ...seen,
      state: 'FAIL',
      values: null,
      userAttrs: { 'parzen:worker': 'worker-1', 'parzen:reason': 'cancelled', 'parzen:off_grid': true },
      systemAttrs: { fixed_params: { rate: 3, window: 227 } },
    },
  },
  {
    // Off the grid and out of range: used and shown as given.
    trial: { params: { ...params, rate: 3, window: 227 }, given: { rate: 3, window: 227 }, offGrid: true },
    reports: { 0: both(0, 0) },
    seen: {
      ...{ ...seen, ...unfinished, state: 'RUNNING' },
      params: { ...params, rate: 3, window: 227 },
      userAttrs: { 'parzen:worker': 'worker-1', 'parzen:off_grid': true },
      systemAttrs: { fixed_params: { rate: 3, window: 227 } },
      intermediate: { 0: 0 },
    },
  },
];

/** Never started: queued, taken back, cancelled while queued. */
const waitingCases: readonly Case[] = [
  {
    trial: waiting({ params: null, given: { drop: 0.6 }, enqueueRequestId: requestId('r1') }),
    seen: {
      ...{ ...seen, ...unfinished, state: 'WAITING', startMs: null, params: {}, userAttrs: {} },
      systemAttrs: { fixed_params: { drop: 0.6 } },
    },
  },
  {
    trial: waiting({ params, attempt: 1, startedAtMs: t0 + 1, worker: workerId('worker-1'), reason: 'lost' }),
    seen: {
      ...{ ...seen, ...unfinished, state: 'WAITING', startMs: null },
      userAttrs: { 'parzen:worker': 'worker-1', 'parzen:reason': 'lost' },
    },
  },
  {
    trial: waiting({
      params: null,
      given: {},
      state: 'CANCELLED',
      reason: 'cancelled',
      finishedAtMs: t0 + 9,
    }),
    seen: {
      ...{ ...seen, state: 'FAIL', values: null, params: {}, startMs: t0 + 9, completeMs: t0 + 9 },
      userAttrs: { 'parzen:reason': 'cancelled' },
      systemAttrs: { fixed_params: {} },
    },
  },
];

export interface Expected {
  readonly study: string;
  readonly trials: readonly OptunaTrial[];
}

/** The study 'every kind' with one trial of each kind, in a store. */
export async function storeEveryKind(storage: Storage): Promise<Expected> {
  const study = await created(storage, 'every-kind', { space, trials: 100 });
  const all = [...cases, ...waitingCases];
  for (const [index, { trial, reports = {}, end }] of all.entries()) {
    const token = `token-${index}`;
    await storage.inStudy(study.id, (transaction) =>
      transaction.insertTrial({ ...(trial.state === undefined ? running(token) : waiting()), ...trial }),
    );
    for (const [step, metrics] of Object.entries(reports))
      await storage.report(lease(token).token, { step: Number(step), metrics }, t0 + 60_000);
    if (end === undefined) continue;
    await storage.inStudy(study.id, async (transaction) => {
      const [last] = (await transaction.running()).slice(-1);
      if (last === undefined) throw new Error('no running trial to end');
      await transaction.updateTrial({ ...last, ...end });
    });
  }
  return {
    study: 'every-kind',
    trials: all.map((each, number) => ({ number, ...each.seen })),
  };
}

/** A study with two objectives, in the order minimise, maximise; its front is trials 1 and 2. */
export async function storeTwoObjectives(storage: Storage): Promise<Expected> {
  const study = await created(storage, 'two-objectives', {
    objectives: [
      { name: 'loss', direction: 'minimize', weights: { loss: 1 } },
      { name: 'speed', direction: 'maximize', weights: { speed: 2 } },
    ],
    space,
    fixed: {},
  });
  const results = [
    [2, 1],
    [1, 1],
    [2, 3],
  ] as const;
  for (const values of results)
    await storage.inStudy(study.id, async (transaction) => {
      const trial = await transaction.insertTrial(running(`token-${values.join('-')}`, { params }));
      await transaction.updateTrial({ ...trial, ...completed(values) });
    });
  return {
    study: 'two-objectives',
    trials: results.map((values, number) => ({ ...seen, number, values })),
  };
}
