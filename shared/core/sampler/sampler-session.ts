/** How the parameters of one trial get their values, one after the other (tpe.md §4). */
import { assertNever } from '../assert.js';
import { isSingle } from '../space/make-parameter.js';
import { contains, fromInternal } from '../space/parameter-values.js';
import type { Parameter, Params, ParameterValue, Space } from '../space/parameter.js';
import { checkSeed, Mt19937 } from './mt19937.js';
import { sampleRandom } from './random.js';
import type { SamplerSettings } from './sampler.js';
import { checkCompatible, internalValue, valueOf } from './trial-parameters.js';

/** The models that a TPE suggestion draws on: fitted plainly (in tests) or kept up to date (`study-sampler.ts`). */
export interface JointModels {
  /** Spaces that are sampled jointly, in order. */
  jointSpaces(): readonly Space[];
  /** Internal values by name for a space without single parameters. */
  suggest(space: Space, rng: Mt19937): Map<string, number>;
}

/** What is to be suggested. */
export interface Suggestable {
  readonly space: Space;
  readonly settings: SamplerSettings;
  /** COMPLETE and PRUNED trials so far: they end the start-up. */
  readonly finishedCount: number;
  readonly fixed?: Params;
}

/** The value under a suggested name together with the distribution it was modelled with. */
interface JointValue {
  readonly parameter: Parameter;
  readonly internal: number;
}

/** One TPE suggestion; the joint values are made when a parameter first needs them. */
class TpeSuggestion {
  readonly #models: JointModels;
  readonly #rng: Mt19937;
  #joint: Map<string, JointValue> | null = null;

  constructor(models: JointModels, rng: Mt19937) {
    this.#models = models;
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
    const alone = this.#models.suggest([parameter], this.#rng);
    return fromInternal(parameter, alone.get(parameter.name) ?? 0);
  }

  #suggestJoint(): Map<string, JointValue> {
    const joint = new Map<string, JointValue>();
    for (const space of this.#models.jointSpaces()) {
      const values = this.#models.suggest(space, this.#rng);
      for (const parameter of space) {
        joint.set(parameter.name, { parameter, internal: values.get(parameter.name) ?? 0 });
      }
    }
    return joint;
  }
}

/**
 * A sampler's two random streams, both started from the same seed: one for TPE, one for random sampling (tpe.md §11).
 * Kept over several trials it reproduces a whole sequential run of Optuna.
 */
export class SamplerSession {
  #seed: number;
  #tpe: Mt19937 | null = null;
  #random: Mt19937 | null = null;
  /** Generators of an earlier seed are kept: making one costs more than starting it anew. */
  #isTpeStarted = false;
  #isRandomStarted = false;

  /** `seed` starts both streams; throws a `RangeError` unless 0 ≤ seed < 2³². */
  constructor(seed: number) {
    checkSeed(seed);
    this.#seed = seed;
  }

  /** Begins anew with another seed, as a fresh session would. */
  restart(seed: number): void {
    checkSeed(seed);
    this.#seed = seed;
    this.#isTpeStarted = false;
    this.#isRandomStarted = false;
  }

  /**
   * Values for every parameter of the space, in space order; `models` is called only if TPE has something to suggest.
   * Throws a `SamplerError` for values or distributions that cannot be.
   */
  resolve(suggestable: Suggestable, models: () => JointModels): Params {
    const { space, fixed = {} } = suggestable;
    const resolve = this.#resolver(suggestable, models);
    return Object.fromEntries(
      space.map((parameter) => {
        const given = valueOf(fixed, parameter.name);
        if (given !== undefined) {
          internalValue(parameter, given, 'fixed value');
          return [parameter.name, given];
        }
        return [parameter.name, isSingle(parameter) ? this.#sampleRandom(parameter) : resolve(parameter)];
      }),
    );
  }

  #sampleRandom(parameter: Parameter): ParameterValue {
    this.#random ??= new Mt19937(this.#seed);
    if (!this.#isRandomStarted) this.#random.restart(this.#seed);
    this.#isRandomStarted = true;
    return sampleRandom(parameter, this.#random);
  }

  #tpeStream(): Mt19937 {
    this.#tpe ??= new Mt19937(this.#seed);
    if (!this.#isTpeStarted) this.#tpe.restart(this.#seed);
    this.#isTpeStarted = true;
    return this.#tpe;
  }

  /** How parameters that are neither fixed nor single are resolved; start-up is random (tpe.md §4). */
  #resolver(
    { settings, finishedCount }: Suggestable,
    models: () => JointModels,
  ): (parameter: Parameter) => ParameterValue {
    switch (settings.type) {
      case 'random':
        return (parameter) => this.#sampleRandom(parameter);
      case 'tpe': {
        if (finishedCount < settings.startupTrials) return (parameter) => this.#sampleRandom(parameter);
        const suggestion = new TpeSuggestion(models(), this.#tpeStream());
        return (parameter) => suggestion.resolve(parameter);
      }
      default:
        return assertNever(settings);
    }
  }
}
