/**
 * Replicates of finalists (hermite-model.md §18.12): the same parameters trained again from other seeds, in a study of their own,
 * so that neither the search nor its sampler sees them. The best of a search is best by luck as well, of its seed among others: the
 * mean of its replicates is free of that part.
 */
import { createHash } from 'node:crypto';
import { parseDocument, stringify } from 'yaml';
import { mean, variance } from '../../shared/core/metrics/numbers.js';
import type { Direction } from '../../shared/core/sampler/sampler.js';
import type { Params } from '../../shared/core/space/parameter.js';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import { topTrials } from '../../shared/core/study/ranking.js';
import { hasOwnValue, type Trial } from '../../shared/core/study/trial.js';
import { parseEvaluation } from '../../shared/core/trainers/evaluation-settings.js';

const suffix = '-replicates';

export const replicatesNameOf = (study: string): string => `${study}${suffix}`;

/** The study whose replicates a study of this name would be; null for any other name. */
export const replicatedStudyOf = (name: string): string | null =>
  name.endsWith(suffix) && name.length > suffix.length ? name.slice(0, -suffix.length) : null;

/** Parameters as a text that is the same for the same values, in whatever order. */
const keyOf = (params: Params): string =>
  JSON.stringify(Object.entries(params).sort(([left], [right]) => (left < right ? -1 : 1)));

/** The best `count` trials with a value of their own, best first; of several with the same parameters the best. */
export function finalistsOf(
  directions: readonly Direction[],
  trials: readonly Trial[],
  count: number,
): readonly Trial[] {
  const drawn = trials.filter(hasOwnValue);
  const chosen = new Map<string, Trial>();
  // Of several objectives the fronts are found one by one, so that not all are ranked for a few.
  for (let ranked = count; ; ranked *= 2) {
    for (const trial of topTrials(directions, drawn, ranked)) {
      const key = keyOf(trial.params);
      if (!chosen.has(key) && chosen.size < count) chosen.set(key, trial);
    }
    if (chosen.size === count || ranked >= drawn.length) return [...chosen.values()];
  }
}

export interface ReplicatesRequest {
  readonly name: string;
  /** The trials to replicate, best first. */
  readonly finalists: readonly Pick<Trial, 'params'>[];
  /** Runs of each. */
  readonly times: number;
}

/** A seed of their own for replicates of every name, so that two studies of them do not repeat each other. */
function seedOf(name: string, searched: number): number {
  const seed = createHash('sha256').update(`${searched} ${name}`).digest().readUInt32LE();
  return seed === searched ? (seed + 1) % 2 ** 32 : seed;
}

/** Whether every trial of a study is trained from the same seeds, as the original did it (hermite-model.md §18.12). */
export function hasFixedSeeds({ trainer, evaluation }: StudyDefinition): boolean {
  const parsed = trainer === 'hermite' ? parseEvaluation(evaluation) : null;
  return parsed?.ok === true && parsed.evaluation.seedPolicy === 'v6';
}

/**
 * The study file of the replicates: that of the study, with every run enqueued, round by round, and nothing to be suggested. Seeds of
 * trials come from the study's seed and their number, so no run has that of another, or, by another study seed, of the original; where
 * the study has one seed for all trials, its replicates have their own all the same.
 */
export function replicatesStudyText(
  { definition, definitionText }: { readonly definition: StudyDefinition; readonly definitionText: string },
  { name, finalists, times }: ReplicatesRequest,
): string {
  // As values: in the text, what is replaced may be what another part refers to.
  const content = parseDocument(definitionText, { uniqueKeys: false }).toJS({
    maxAliasCount: -1,
  }) as Readonly<Record<string, unknown>>;
  const enqueue = Array.from({ length: times }, () => finalists.map(({ params }) => ({ ...params }))).flat();
  const copy = {
    ...content,
    name,
    trials: enqueue.length,
    sampler: { type: 'random', seed: seedOf(name, definition.sampler.seed) },
    enqueue,
    ...(hasFixedSeeds(definition)
      ? { evaluation: { ...definition.evaluation, seed_policy: 'derived' } }
      : {}),
  };
  return `# The best trials of study ${definition.name}, each ${times} times.\n${stringify(copy, { lineWidth: 0 })}`;
}

/** What became of one finalist. */
export interface Replicated {
  /** The best trial of the study with these parameters; null when there is none any more. */
  readonly original: Trial | null;
  readonly params: Params;
  /** Runs with a value of their own, and all that there are to be. */
  readonly complete: number;
  readonly runs: number;
  /** Per objective over the runs with a value. NaN without any. */
  readonly mean: readonly number[];
  /** Sample standard deviation over seeds, NaN with fewer than two. */
  readonly sd: readonly number[];
}

/** What `replicatesOf` looks at. */
export interface ReplicatesData {
  /** All trials of the study. */
  readonly original: readonly Trial[];
  /** All trials of the study of its replicates. */
  readonly replicates: readonly Trial[];
  readonly directions: readonly Direction[];
}

/** The finalists in the order in which they were enqueued, which is best first. */
export function replicatesOf(data: ReplicatesData): readonly Replicated[] {
  const { original, replicates, directions } = data;
  const groups = new Map<string, Trial[]>();
  for (const trial of [...replicates].sort((left, right) => left.number - right.number)) {
    const key = keyOf(trial.params);
    groups.set(key, [...(groups.get(key) ?? []), trial]);
  }
  return [...groups].map(([key, runs]) => {
    const complete = runs.filter(hasOwnValue);
    const values = directions.map((_, index) => complete.map((trial) => trial.values[index] ?? NaN));
    const same = original.filter((trial) => hasOwnValue(trial) && keyOf(trial.params) === key);
    return {
      original: topTrials(directions, same, 1)[0] ?? null,
      params: runs[0]?.params ?? {},
      complete: complete.length,
      runs: runs.length,
      mean: values.map((of) => mean(of)),
      sd: values.map(spread),
    };
  });
}

/** Equal values have none, which sums of rounded squares would not say. */
const spread = (values: readonly number[]): number =>
  values.length > 1 && values.every((value) => value === values[0]) ? 0 : Math.sqrt(variance(values, 1));
