/**
 * One suggestion: every parameter of the space resolved in space order by the rules of tpe.md §4. Pure: the same
 * request and seed give the same values, on any machine.
 */
import { assertNever } from '../assert.js';
import { isSingle } from '../space/make-parameter.js';
import { contains, fromInternal } from '../space/parameter-values.js';
import type { Parameter, Params, ParameterValue, Space } from '../space/parameter.js';
import { Mt19937, trialSeed } from './mt19937.js';
import { sampleRandom } from './random.js';
import type { SuggestRequest, TpeSettings } from './sampler.js';
import { GroupSpaces, IntersectionSpace } from './tpe/joint-space.js';
import { splitHistory, suggestJointly, type SplitHistory } from './tpe/model.js';
import { checkCompatible, internalValue, trialParameters, valueOf } from './trial-parameters.js';

/** The value under a suggested name together with the distribution it was modelled with. */
interface JointValue {
  readonly parameter: Parameter;
  readonly internal: number;
}

/** What one TPE suggestion needs beside the parameters; everything expensive is made when first asked for. */
class TpeSuggestion {
  readonly #request: SuggestRequest;
  readonly #settings: TpeSettings;
  readonly #rng: Mt19937;
  #history: SplitHistory | null = null;
  #joint: Map<string, JointValue> | null = null;

  constructor(request: SuggestRequest, settings: TpeSettings, rng: Mt19937) {
    this.#request = request;
    this.#settings = settings;
    this.#rng = rng;
  }

  /** Rules 4 and 5 of tpe.md §4: the joint suggestion where it fits, otherwise a model of this parameter alone. */
  resolve(parameter: Parameter): ParameterValue {
    this.#joint ??= this.#suggestJoint();
    const joint = this.#joint.get(parameter.name);
    if (joint !== undefined) {
      checkCompatible(parameter, joint.parameter);
      if (contains(parameter, joint.internal)) return fromInternal(parameter, joint.internal);
    }
    return fromInternal(parameter, this.#model([parameter]).get(parameter.name) ?? 0);
  }

  #model(space: Space): Map<string, number> {
    const { finished, running, directions } = this.#request;
    this.#history ??= splitHistory(finished, running, directions, this.#settings);
    return suggestJointly(space, this.#history, this.#settings, this.#rng);
  }

  #suggestJoint(): Map<string, JointValue> {
    const joint = new Map<string, JointValue>();
    const { multivariate, group } = this.#settings;
    if (!multivariate && !group) return joint;
    const spaces = group ? new GroupSpaces() : new IntersectionSpace();
    for (const trial of this.#request.finished) spaces.fold(trialParameters(trial, this.#request.space));
    for (const space of spaces.spaces()) {
      const values = this.#model(space);
      for (const parameter of space) {
        joint.set(parameter.name, { parameter, internal: values.get(parameter.name) ?? 0 });
      }
    }
    return joint;
  }
}

/**
 * A sampler with its two random streams, both started from the same seed: one for TPE, one for random sampling
 * (tpe.md §11). Kept over several trials it reproduces a whole sequential run of Optuna.
 */
export class SamplerSession {
  readonly #tpeRng: Mt19937;
  readonly #randomRng: Mt19937;

  /** `seed` starts both streams; 0 ≤ seed < 2³². */
  constructor(seed: number) {
    this.#tpeRng = new Mt19937(seed);
    this.#randomRng = new Mt19937(seed);
  }

  /**
   * Values for every parameter of the space, in space order. `settings.seed` and `number` are not looked at. Throws a
   * `SamplerError` for values or distributions that cannot be.
   */
  suggest(request: SuggestRequest): Params {
    const resolve = this.#resolver(request);
    const { fixed = {} } = request;
    checkHistory(request);
    return Object.fromEntries(
      request.space.map((parameter) => {
        const given = valueOf(fixed, parameter.name);
        if (given !== undefined) {
          internalValue(parameter, given, 'fixed value');
          return [parameter.name, given];
        }
        if (isSingle(parameter)) return [parameter.name, sampleRandom(parameter, this.#randomRng)];
        return [parameter.name, resolve(parameter)];
      }),
    );
  }

  /** How parameters that are neither fixed nor single are resolved; start-up is random (tpe.md §4). */
  #resolver(request: SuggestRequest): (parameter: Parameter) => ParameterValue {
    const { settings } = request;
    const random = (parameter: Parameter): ParameterValue => sampleRandom(parameter, this.#randomRng);
    switch (settings.type) {
      case 'random':
        return random;
      case 'tpe': {
        if (request.finished.length < settings.startupTrials) return random;
        const suggestion = new TpeSuggestion(request, settings, this.#tpeRng);
        return (parameter) => suggestion.resolve(parameter);
      }
      default:
        return assertNever(settings);
    }
  }
}

/** Throws a `SamplerError` when a parameter changed its kind, log or choices since an earlier trial. */
function checkHistory({ finished, running, space }: SuggestRequest): void {
  for (const trial of [...finished, ...running]) trialParameters(trial, space);
}

/** A suggestion from a given MT19937 seed, as a fresh Optuna sampler with that seed would make it. */
export function suggestWithSeed(request: SuggestRequest, seed: number): Params {
  return new SamplerSession(seed).suggest(request);
}

/** The suggestion for trial `request.number` of a study: one random stream per trial, from the study's seed. */
export function suggest(request: SuggestRequest): Params {
  return suggestWithSeed(request, trialSeed(request.settings.seed, request.number));
}
