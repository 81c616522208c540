/** Studies that are all right: what their file says, and what is to be read from it. */
import fc from 'fast-check';
import { failureDefaults } from '../../coordinator/study-file/study-defaults.js';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import type { Parameter, ParameterValue } from '../../shared/core/space/parameter.js';

export interface ValidStudy {
  readonly file: Readonly<Record<string, unknown>>;
  readonly definition: Partial<StudyDefinition>;
}

const finite = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e100, max: 1e100 });
const positive = fc.double({ noNaN: true, min: 1e-12, max: 1e12 });
const name = fc.stringMatching(/^[a-z_][a-z0-9_.-]{0,12}$/).filter((text) => !(text in {}));
const text = fc.string({ maxLength: 20 });

interface InFile {
  readonly file: unknown;
  /** Without its name. */
  readonly parameter: { readonly kind: Parameter['kind'] } & Readonly<Record<string, unknown>>;
  readonly value: ParameterValue;
}

/** Without -0: a file can say it, and JSON cannot. */
const plain = (value: number): number => value + 0;

const float: fc.Arbitrary<InFile> = fc.tuple(finite, finite).map(([one, other]) => {
  const low = plain(Math.min(one, other));
  // Ranges narrower than a double can calculate with are refused.
  const high = plain(Math.abs(one - other) < 2 ** -1022 ? low : Math.max(one, other));
  return { file: { low, high }, value: low, parameter: { kind: 'float', low, high, log: false, step: null } };
});

const logFloat: fc.Arbitrary<InFile> = fc.tuple(positive, positive).map(([one, other]) => {
  const [low, high] = [Math.min(one, other), Math.max(one, other)];
  return {
    ...{ file: { low, high, log: true }, value: high },
    parameter: { kind: 'float', low, high, log: true, step: null },
  };
});

const int: fc.Arbitrary<InFile> = fc
  .record({
    low: fc.integer({ min: -1_000, max: 1_000 }),
    steps: fc.nat(50),
    step: fc.integer({ min: 1, max: 9 }),
  })
  .map(({ low, steps, step }) => {
    const high = low + steps * step;
    return {
      ...{ file: { low, high, step, int: true }, value: high },
      parameter: { kind: 'int', low, high, log: false, step },
    };
  });

const categorical: fc.Arbitrary<InFile> = fc
  .uniqueArray(fc.oneof(text, fc.integer({ min: 2 }), fc.constantFrom(null, true, false, 0.5)), {
    minLength: 1,
    maxLength: 6,
  })
  .map((choices) => ({
    ...{ file: { choices }, value: choices[0] ?? null },
    parameter: { kind: 'categorical', choices },
  }));

const sampler = fc.oneof(
  fc.record({ type: fc.constant('random' as const), seed: fc.nat() }).map((read) => ({ file: read, read })),
  fc
    .record({
      seed: fc.nat(),
      rules: fc.constantFrom('optuna-4' as const, 'optuna-5' as const),
      startupTrials: fc.nat(10_000),
      eiCandidates: fc.integer({ min: 1, max: 1_000 }),
      constantLiar: fc.boolean(),
      group: fc.boolean(),
    })
    .map(({ startupTrials, eiCandidates, constantLiar, ...rest }) => ({
      file: {
        ...{ type: 'tpe', multivariate: true, ...rest, startup_trials: startupTrials },
        ...{ ei_candidates: eiCandidates, constant_liar: constantLiar },
      },
      read: { type: 'tpe' as const, multivariate: true, ...rest, startupTrials, eiCandidates, constantLiar },
    })),
);

const weights = fc.dictionary(
  name,
  finite.filter((weight) => weight !== 0),
  { minKeys: 1, maxKeys: 4 },
);
const objectives = fc.uniqueArray(
  fc.record({ name, direction: fc.constantFrom('minimize' as const, 'maximize' as const), weights }),
  { minLength: 1, maxLength: 3, selector: (objective) => objective.name },
);

export const validStudy: fc.Arbitrary<ValidStudy> = fc
  .record({
    name,
    objectives,
    trials: fc.integer({ min: 1, max: 1_000_000 }),
    sampler,
    space: fc.uniqueArray(fc.tuple(name, fc.oneof(float, logFloat, int, categorical)), {
      minLength: 1,
      maxLength: 8,
      selector: ([each]) => each,
    }),
    fixed: fc.dictionary(
      name.map((each) => `fixed.${each}`),
      fc.oneof(finite.map(plain), text, fc.boolean()),
      { maxKeys: 3 },
    ),
    isEnqueued: fc.boolean(),
    lostRetries: fc.nat(1_000),
    minutes: fc.integer({ min: 1, max: 10_000 }),
  })
  .map(({ space, sampler: sampled, isEnqueued, lostRetries, minutes, ...rest }) => {
    const enqueue = isEnqueued ? [Object.fromEntries(space.map(([each, { value }]) => [each, value]))] : [];
    return {
      file: {
        ...rest,
        ...{ trainer: 'instant', sampler: sampled.file, enqueue },
        space: Object.fromEntries(space.map(([each, { file }]) => [each, file])),
        failure: { lost_retries: lostRetries, stall_timeout: `${minutes > 1_000 ? 1 : minutes}m` },
      },
      definition: {
        ...rest,
        ...{ trainer: 'instant', sampler: sampled.read, enqueue, data: { kind: 'none' }, evaluation: {} },
        space: space.map(([each, { parameter }]) => ({ name: each, ...parameter }) as Parameter),
        failure: {
          ...failureDefaults,
          lostRetriesMax: lostRetries,
          stallTimeoutSeconds: (minutes > 1_000 ? 1 : minutes) * 60,
        },
      },
    };
  });
