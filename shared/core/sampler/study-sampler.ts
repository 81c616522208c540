/**
 * The sampler of one study, kept while its trials come and go: finished trials are folded in one by one, and a suggestion
 * costs a fraction of what refitting everything would. It gives exactly what `suggestPlainly` of the tests gives for the
 * same history.
 */
import { assertNever } from '../assert.js';
import type { Parameter, Params, Space } from '../space/parameter.js';
import { trialSeed } from './mt19937.js';
import { GoodTrialsIndex } from './projection/good-trials.js';
import { JointSpaceIndex } from './projection/joint-space-index.js';
import { sharedScreenMemory } from './projection/screen-memory.js';
import { checkCandidates, SpaceModel } from './projection/space-model.js';
import { TrialTable } from './projection/trial-table.js';
import type { Direction, FinishedTrial, RunningTrial, SamplerSettings, TpeSettings } from './sampler.js';
import { SamplerSession, type JointModels, type Suggestable } from './sampler-session.js';
import { estimatorRules } from './tpe/estimator-rules.js';
import { trialParameters } from './trial-parameters.js';

/** What stays the same during a study. */
export interface StudyToSample {
  readonly space: Space;
  readonly directions: readonly Direction[];
  readonly settings: SamplerSettings;
}

/** What one suggestion depends on beside the finished trials. */
export interface Asked {
  /** Number of the trial being suggested for. */
  readonly number: number;
  /** In number order, without that trial. */
  readonly running: readonly RunningTrial[];
  /** Values given from outside; they win over suggestions even off the grid. */
  readonly fixed?: Params;
}

export class StudySampler {
  readonly #study: StudyToSample;
  readonly #projection: TpeProjection | null;
  /** Started anew for every suggestion. */
  readonly #session = new SamplerSession(0);
  #finishedCount = 0;

  constructor(study: StudyToSample) {
    this.#study = study;
    const { settings } = study;
    switch (settings.type) {
      case 'random':
        this.#projection = null;
        break;
      case 'tpe':
        this.#projection = new TpeProjection(study, settings);
        break;
      default:
        assertNever(settings);
    }
  }

  /** Finished trials folded in. */
  get finishedCount(): number {
    return this.#finishedCount;
  }

  /**
   * Takes in one COMPLETE or PRUNED trial, each once, in any order. Throws a `SamplerError`, changing nothing, for a
   * value its parameter could not have or a parameter that cannot stand beside the study's.
   */
  fold(trial: FinishedTrial): void {
    this.#projection?.fold(trial);
    this.#finishedCount += 1;
  }

  /** Values for every parameter, from the random stream that belongs to the trial's number and the study's seed. */
  suggest(asked: Asked): Params {
    return this.suggestWithSeed(asked, trialSeed(this.#study.settings.seed, asked.number));
  }

  /** As `suggest`, from a given MT19937 seed, as a fresh Optuna sampler with that seed would suggest. */
  suggestWithSeed(asked: Asked, seed: number): Params {
    const { space, settings } = this.#study;
    const suggestable: Suggestable = {
      space,
      settings,
      finishedCount: this.#finishedCount,
      ...(asked.fixed === undefined ? {} : { fixed: asked.fixed }),
    };
    this.#session.restart(seed);
    return this.#session.resolve(suggestable, () => this.#models(asked.running));
  }

  #models(running: readonly RunningTrial[]): JointModels {
    for (const trial of running) {
      if (trial.space !== undefined) trialParameters(trial, this.#study.space);
    }
    return this.#projection?.models(running) ?? { jointSpaces: () => [], suggest: () => new Map() };
  }
}

/** A sampler that has taken in these trials; throws as `StudySampler.fold` does. */
export function samplerAfter(study: StudyToSample, finished: readonly FinishedTrial[]): StudySampler {
  const sampler = new StudySampler(study);
  for (const trial of finished) sampler.fold(trial);
  return sampler;
}

/** The finished trials as TPE needs them. */
class TpeProjection {
  readonly #settings: TpeSettings;
  readonly #table: TrialTable;
  readonly #good: GoodTrialsIndex;
  readonly #joint: JointSpaceIndex;
  /** By the space itself; the same spaces come back until a trial changes them. */
  readonly #models = new Map<Space | Parameter, SpaceModel>();
  #spaces: readonly Space[] = [];

  constructor({ space, directions }: StudyToSample, settings: TpeSettings) {
    this.#settings = settings;
    this.#table = new TrialTable(space);
    this.#good = new GoodTrialsIndex(directions, settings.rules);
    this.#joint = new JointSpaceIndex(space, settings.group);
  }

  fold(trial: FinishedTrial): void {
    const parameters = this.#table.add(trial);
    this.#good.add(trial);
    this.#joint.add(trial.number, parameters);
  }

  /** The models as one suggestion sees them. */
  models(running: readonly RunningTrial[]): JointModels {
    const { multivariate, group, constantLiar, eiCandidates } = this.#settings;
    const liars = constantLiar ? running : [];
    return {
      jointSpaces: () => (multivariate || group ? this.#jointSpaces() : []),
      suggest: (space, rng) => {
        checkCandidates(eiCandidates);
        return this.#model(space).suggest(this.#good.current(), liars, eiCandidates, rng);
      },
    };
  }

  /** The joint spaces of the moment; models of spaces that are no more are let go. */
  #jointSpaces(): readonly Space[] {
    const spaces = this.#joint.current();
    if (spaces === this.#spaces) return spaces;
    const kept = new Set<unknown>([...this.#table.space, ...spaces, ...spaces.flat()]);
    for (const key of this.#models.keys()) if (!kept.has(key)) this.#models.delete(key);
    this.#spaces = spaces;
    return spaces;
  }

  #model(space: Space): SpaceModel {
    // The joint spaces are kept as they are; a space of one parameter is made anew for every suggestion.
    const key = space.length === 1 ? (space[0] ?? space) : space;
    const known = this.#models.get(key);
    if (known !== undefined) return known;
    const { rules, multivariate, group } = this.#settings;
    const memory = sharedScreenMemory();
    const model = new SpaceModel(space, estimatorRules(rules, multivariate || group), this.#table, memory);
    this.#models.set(key, model);
    return model;
  }
}
