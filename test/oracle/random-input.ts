/**
 * Random inputs of `coordinator suggest` for the comparison with Optuna: everything follows from the seed. Each stays
 * within what Optuna can be asked (several objectives have no reports there, a constraint is never NaN).
 */
import { Chance } from '../../shared/core/sampler/random-study.test-helper.js';
import { sampleRandom } from '../../shared/core/sampler/random.js';
import type { Direction, TpeRules } from '../../shared/core/sampler/sampler.js';
import { makeCategorical, makeFloat, makeInt } from '../../shared/core/space/make-parameter.js';
import type { NumericParameter, Parameter, ParameterValue } from '../../shared/core/space/parameter.js';

export interface ParameterInput {
  readonly name: string;
  readonly choices?: readonly ParameterValue[];
  readonly int?: boolean;
  readonly low?: number;
  readonly high?: number;
  readonly step?: number | null;
  readonly log?: boolean;
}

export interface TrialInput {
  readonly state: 'COMPLETE' | 'PRUNED' | 'RUNNING' | 'FAIL' | 'WAITING';
  readonly params: Readonly<Record<string, ParameterValue>>;
  readonly space?: readonly ParameterInput[];
  readonly values?: readonly (number | string)[];
  readonly reports?: readonly (readonly [number, number | string])[];
  readonly constraints?: readonly number[];
}

export interface SuggestJson {
  readonly space: readonly ParameterInput[];
  readonly directions: readonly Direction[];
  readonly rules: TpeRules;
  readonly n_startup_trials: number;
  readonly n_ei_candidates: number;
  readonly multivariate?: boolean;
  readonly constant_liar?: boolean;
  readonly group?: boolean;
  readonly trials: readonly TrialInput[];
  readonly fixed: Readonly<Record<string, ParameterValue>>;
  readonly seeds: readonly number[];
}

export interface RandomInput {
  readonly input: SuggestJson;
  /** What the input has in it, for the tally. */
  readonly features: readonly string[];
}

function parameterOf({
  name,
  choices,
  int,
  low = 0,
  high = 1,
  step = null,
  log = false,
}: ParameterInput): Parameter {
  if (choices !== undefined) return makeCategorical(name, choices);
  const spec = { name, low, high, step, log };
  return int === true ? makeInt(spec) : makeFloat(spec);
}

/** A parameter; `kind` 0 to 9. */
function parameterInput(name: string, kind: number, chance: Chance): ParameterInput {
  const low = chance.below(5) - 2;
  switch (kind) {
    case 0:
    case 1:
      return { name, low, high: low + 1 + chance.below(9) };
    case 2:
      return { name, low: 10 ** -chance.below(6), high: 10 + chance.below(90), log: true };
    case 3:
      return { name, low, high: low + 2.03, step: chance.of([0.05, 0.1, 0.25, 0.3]) };
    case 4:
      return { name, int: true, low, high: low + 5 + chance.below(40), step: 1 + chance.below(3) };
    case 5:
      return { name, int: true, low: 1 + chance.below(3), high: 5 + chance.below(300), log: true };
    case 6:
      return { name, int: true, low, high: low + 1500 + chance.below(1e6) };
    case 7:
      return { name, choices: ['a', 'b', 'c', 'd'].slice(0, 2 + chance.below(3)) };
    case 8:
      return { name, choices: [true, null, 2, 'x', 5.5, 'true', 7].slice(0, 3 + chance.below(5)) };
    default:
      return { name, int: true, low: 3, high: 3 + chance.below(2) };
  }
}

/** The same parameter with another range, as a later trial of the study may be asked for it. */
function changedRange(parameter: ParameterInput, chance: Chance): ParameterInput {
  if (parameter.choices !== undefined) return parameter;
  const { low = 0, high = 1 } = parameter;
  const width = Math.ceil(high - low);
  return {
    ...parameter,
    low: parameter.log === true ? low : low - chance.below(3),
    high: high + chance.below(width + 1),
  };
}

function randomValue(parameter: ParameterInput, chance: Chance, off: number): ParameterValue {
  const made = parameterOf(parameter);
  const value = sampleRandom(made, chance.rng);
  if (made.kind === 'categorical' || typeof value !== 'number' || !chance.is(off)) return value;
  return beyond(made, value, chance);
}

/** An enqueued value, outside the range or between grid points. */
function beyond(parameter: NumericParameter, value: number, chance: Chance): number {
  if (parameter.kind === 'int') return parameter.log ? value + 1 : value + 1 - 2 * chance.below(2);
  const width = parameter.high - parameter.low;
  return parameter.log ? value * 1.7 : value + width * (chance.rng.nextDouble() - 0.3);
}

/** What a whole input is like; the trials are drawn accordingly. */
interface Style {
  readonly space: readonly ParameterInput[];
  readonly directions: readonly Direction[];
  readonly count: number;
  /** Probabilities. */
  readonly absent: number;
  readonly off: number;
  readonly changed: number;
  readonly running: number;
  readonly pruned: number;
  readonly constrained: number;
  readonly infinite: number;
  /** Different objective values there can be. */
  readonly levels: number;
}

function trialInput(style: Style, chance: Chance): TrialInput {
  const { directions, constrained } = style;
  const space = style.space.map((parameter) =>
    chance.is(style.changed) ? changedRange(parameter, chance) : parameter,
  );
  const present = space.filter(() => !chance.is(style.absent));
  const params = Object.fromEntries(
    present.map((parameter) => [parameter.name, randomValue(parameter, chance, style.off)]),
  );
  const base = { params, ...(style.changed > 0 ? { space: present } : {}) };
  const values = directions.map(() => {
    if (chance.is(style.infinite)) return chance.of(['Infinity', '-Infinity']);
    const value = chance.below(style.levels);
    return style.levels > 100 ? value + chance.rng.nextDouble() - style.levels / 2 : value - 1;
  });
  const judged =
    constrained > 0 && chance.is(0.85)
      ? {
          constraints: [chance.rng.nextDouble() - 1 + constrained, chance.rng.nextDouble() - 1 + constrained],
        }
      : {};
  if (chance.is(style.running)) return { state: 'RUNNING', ...base };
  if (chance.is(0.05)) return { state: chance.of(['FAIL', 'WAITING']), ...base };
  if (!chance.is(style.pruned)) return { state: 'COMPLETE', ...base, values, ...judged };
  const reports = Array.from({ length: chance.below(4) }, (): [number, number | string] => [
    chance.below(5),
    chance.is(0.1) ? 'NaN' : chance.is(0.05) ? 'Infinity' : chance.below(style.levels),
  ]);
  return { state: 'PRUNED', ...base, ...(directions.length === 1 ? { reports } : {}), ...judged };
}

function randomStyle(group: boolean, chance: Chance): Style {
  const directions = Array.from({ length: chance.of([1, 1, 1, 1, 2, 2, 3, 4]) }, (): Direction =>
    chance.of(['minimize', 'maximize']),
  );
  const kinds = chance.of([10, 10, 10, 3]);
  return {
    space: Array.from({ length: 1 + chance.below(7) }, (_, i) =>
      parameterInput(`${chance.of(['p', 'P', '_', 'ü'])}${i}`, chance.below(kinds), chance),
    ),
    directions,
    count: chance.of([0, 3, 12, 30, 60, 120, 120, 300]),
    absent: group || chance.is(0.1) ? 0.15 : 0,
    off: chance.of([0, 0, 0, 0.05]),
    changed: chance.of([0, 0, 0, 0, 0, 0.01]),
    running: chance.of([0, 0.1, 0.3]),
    pruned: chance.of([0, 0.2, 0.6]),
    constrained: chance.of([0, 0, 0, 0.3, 0.7, 1.1]),
    infinite: chance.of([0, 0, 0, 0.02, 0.2]),
    levels: chance.of([3, 20, 1e6, 1e6]),
  };
}

/** What kind of parameter it is, in words. */
function kindOf({ choices, int, step = null, log }: ParameterInput): string {
  if (choices !== undefined) return 'categorical';
  const kind = int === true ? 'int' : 'float';
  if (log === true) return `log ${kind}`;
  return step !== null && step !== 1 ? `stepped ${kind}` : kind;
}

const has = (name: string, condition: boolean): string[] => (condition ? [name] : []);

function featuresOf(input: SuggestJson, style: Style): string[] {
  const states = new Set(input.trials.map(({ state }) => state));
  const joint =
    input.group === true ||
    (input.multivariate ?? (input.rules === 'optuna-5' && style.directions.length === 1));
  return [
    ...new Set(style.space.map((parameter) => `parameter: ${kindOf(parameter)}`)),
    joint ? 'joint' : 'independent',
    `objectives ${style.directions.length}`,
    `trials ≤ ${[12, 60, 300].find((most) => input.trials.length <= most) ?? 0}`,
    ...has('group', input.group === true),
    ...has(
      'liar with running trials',
      states.has('RUNNING') && (input.constant_liar ?? input.rules === 'optuna-5'),
    ),
    ...has('pruned', states.has('PRUNED')),
    ...has('constraints', style.constrained > 0),
    ...has('missing parameters', style.absent > 0),
    ...has('values off the grid', style.off > 0),
    ...has('changed ranges', style.changed > 0),
    ...has('infinite values', style.infinite > 0),
    ...has('equal values', style.levels < 100),
    ...has('fixed values', Object.keys(input.fixed).length > 0),
    ...has('defaults', input.multivariate === undefined && input.constant_liar === undefined),
  ];
}

/** An input by its seed; `rules` of the Optuna that will be asked. */
export function randomInput(seed: number, rules: TpeRules): RandomInput {
  const chance = new Chance(seed);
  const group = chance.is(0.25);
  const style = randomStyle(group, chance);
  const defaults = !group && chance.is(0.15);
  const trials = Array.from({ length: style.count }, () => trialInput(style, chance));
  const input: SuggestJson = {
    space: style.space,
    directions: style.directions,
    rules,
    n_startup_trials: chance.of([0, 1, 5, 10]),
    n_ei_candidates: chance.of([1, 5, 24, 24, 64]),
    ...(defaults ? {} : { multivariate: group || chance.is(0.7), constant_liar: chance.is(0.6), group }),
    trials,
    fixed: Object.fromEntries(
      chance.is(0.2)
        ? style.space
            .filter(() => chance.is(0.4))
            .map((parameter) => [parameter.name, randomValue(parameter, chance, 0.2)])
        : [],
    ),
    seeds: [chance.below(2 ** 32), chance.below(2 ** 32)],
  };
  return { input, features: featuresOf(input, style) };
}
