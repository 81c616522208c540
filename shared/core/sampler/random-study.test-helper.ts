/** Random studies for tests: everything follows from a seed. */
import { makeCategorical, makeFloat, makeInt } from '../space/make-parameter.js';
import type { Parameter, Params, ParameterValue } from '../space/parameter.js';
import { Mt19937 } from './mt19937.js';
import { sampleRandom } from './random.js';
import type { Direction, FinishedTrial, RunningTrial, SuggestRequest, TpeSettings } from './sampler.js';

/** A generator of random studies: everything follows from the seed. */
export class Chance {
  readonly rng: Mt19937;

  constructor(seed: number) {
    this.rng = new Mt19937(seed);
  }

  below(n: number): number {
    return Math.floor(this.rng.nextDouble() * n);
  }

  is(probability: number): boolean {
    return this.rng.nextDouble() < probability;
  }

  of<T>(items: readonly [T, ...T[]]): T {
    return items[this.below(items.length)] ?? items[0];
  }
}

function randomParameter(name: string, chance: Chance): Parameter {
  const low = chance.below(5) - 2;
  switch (chance.below(9)) {
    case 0:
      return makeFloat({ name, low, high: low + 1 + chance.below(9) });
    case 1:
      return makeFloat({ name, low: 10 ** -chance.below(6), high: 10 + chance.below(90), log: true });
    case 2:
      return makeFloat({ name, low, high: low + 2, step: chance.of([0.05, 0.1, 0.25, 0.3]) });
    case 3:
      return makeInt({ name, low, high: low + 5 + chance.below(40), step: 1 + chance.below(3) });
    case 4:
      return makeInt({ name, low: 1 + chance.below(3), high: 5 + chance.below(300), log: true });
    case 5:
      return makeInt({ name, low, high: low + 1500 + chance.below(1e6) });
    case 6:
      return makeCategorical(name, ['a', 'b']);
    case 7:
      return makeCategorical(name, [1, 2, null, 'x', 5, 6, 7].slice(0, 3 + chance.below(5)));
    default:
      return makeInt({ name, low: 0, high: chance.below(4) });
  }
}

function randomSettings(chance: Chance): TpeSettings {
  const multivariate = chance.is(0.7);
  return {
    type: 'tpe',
    seed: 0,
    startupTrials: 3,
    eiCandidates: chance.of([1, 5, 24, 24, 64, 70]),
    multivariate,
    group: multivariate && chance.is(0.3),
    constantLiar: chance.is(0.6),
    rules: chance.of(['optuna-4', 'optuna-5']),
  };
}

/** A value of a parameter; now and then one off its grid, or beyond its range. */
function randomValue(parameter: Parameter, chance: Chance, off: number): ParameterValue {
  const value = sampleRandom(parameter, chance.rng);
  if (typeof value !== 'number' || parameter.kind === 'categorical' || !chance.is(off)) return value;
  if (parameter.kind === 'int') return parameter.log ? value + 1 : value + 1 - 2 * chance.below(2);
  return parameter.log
    ? value * 1.7
    : value + (parameter.high - parameter.low) * (chance.rng.nextDouble() - 0.3);
}

export interface RandomStudy {
  readonly request: Omit<SuggestRequest, 'finished' | 'running' | 'number'>;
  /** In the order in which they finish, which is not that of their numbers. */
  readonly finished: readonly FinishedTrial[];
  readonly running: readonly RunningTrial[];
}

/**
 * What runs when the first `seen` trials of a study have finished: some of those that finish next, as they are or with
 * their values copied, and some of those that never finish.
 */
export function runningAfter(study: RandomStudy, seen: number, chance: Chance): RunningTrial[] {
  const next = study.finished.slice(seen, seen + 8).filter(() => chance.is(0.7));
  const started = next.map(({ number, params }) => ({
    number,
    params: chance.is(0.5) ? params : { ...params },
  }));
  const stuck = study.running.filter(() => chance.is(0.8));
  return [...started, ...stuck].sort((a, b) => a.number - b.number);
}

/** A study of `count` trials, finished and running. */
export function randomStudy(chance: Chance, count: number): RandomStudy {
  const space = Array.from({ length: 1 + chance.below(7) }, (_, i) => randomParameter(`p${i}`, chance));
  const settings = randomSettings(chance);
  const objectives = chance.of([1, 1, 1, 1, 2, 3]);
  const directions = Array.from({ length: objectives }, (): Direction => chance.of(['minimize', 'maximize']));
  const off = chance.of([0, 0, 0, 0.05]);
  const absent = settings.group || chance.is(0.1) ? 0.2 : 0;
  const constrained = chance.is(0.15);
  const levels = chance.of([3, 1e6]);
  const repeated = chance.of([0, 0, 0.3]);
  const earlier: Params[] = [];
  const params = (): Params => {
    const again = chance.is(repeated) ? earlier[chance.below(earlier.length)] : undefined;
    if (again !== undefined) return { ...again };
    const fresh = Object.fromEntries(
      space.flatMap((p): [string, ParameterValue][] =>
        chance.is(absent) ? [] : [[p.name, randomValue(p, chance, off)]],
      ),
    );
    earlier.push(fresh);
    return fresh;
  };
  const trials = Array.from({ length: count }, (_, number): FinishedTrial | RunningTrial => {
    const constraints = constrained && chance.is(0.8) ? { constraints: [chance.rng.nextDouble() - 0.6] } : {};
    if (chance.is(0.1)) return { number, params: params() };
    if (objectives === 1 && chance.is(0.15)) {
      const value = chance.is(0.1) ? NaN : chance.below(levels);
      const lastReport = chance.is(0.2) ? null : { step: chance.below(4), value };
      return { state: 'PRUNED', number, params: params(), lastReport, ...constraints };
    }
    const values = directions.map(() => (chance.is(0.01) ? Infinity : chance.below(levels)));
    return { state: 'COMPLETE', number, params: params(), values, ...constraints };
  });
  const finished = trials.filter((trial) => 'state' in trial);
  // Trials finish a little out of order.
  for (let i = 1; i < finished.length; i++) {
    const other = Math.max(0, i - chance.below(5));
    const [a, b] = [finished[i], finished[other]];
    if (a !== undefined && b !== undefined) [finished[i], finished[other]] = [b, a];
  }
  return {
    request: { space, directions, settings },
    finished,
    running: trials.filter((t) => !('state' in t)),
  };
}
