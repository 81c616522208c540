/**
 * Replicates of finalists (hermite-model.md §18.12): the same parameters trained again from other seeds, in a study of their own,
 * so that neither the search nor its sampler sees them. The best of a search is best by luck as well, of its seed among others: the
 * mean of its replicates is free of that part.
 */
import { parseDocument } from 'yaml';
import { mean, variance } from '../../shared/core/metrics/numbers.js';
import type { Params } from '../../shared/core/space/parameter.js';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import type { Trial } from '../../shared/core/study/trial.js';

export const replicatesNameOf = (study: string): string => `${study}-replicates`;

export interface ReplicatesRequest {
  readonly name: string;
  /** The trials to replicate, best first. */
  readonly finalists: readonly Pick<Trial, 'params'>[];
  /** Runs of each. */
  readonly times: number;
}

/**
 * The study file of the replicates: that of the study, with every run enqueued, round by round, and nothing to be suggested. Seeds of
 * trials come from the study's seed and their number, so no run has that of another, or, by another study seed, of the original.
 */
export function replicatesStudyText(
  { definition, definitionText }: { readonly definition: StudyDefinition; readonly definitionText: string },
  { name, finalists, times }: ReplicatesRequest,
): string {
  const document = parseDocument(definitionText);
  const enqueue = Array.from({ length: times }, () => finalists.map(({ params }) => ({ ...params }))).flat();
  document.set('name', name);
  document.set('trials', enqueue.length);
  document.set('sampler', { type: 'random', seed: (definition.sampler.seed + 1) % 2 ** 32 });
  document.set('enqueue', enqueue);
  document.commentBefore = ` The best trials of study ${definition.name}, each ${times} times.`;
  return document.toString({ lineWidth: 0 });
}

/** Parameters as a text that is the same for the same values, in whatever order. */
const keyOf = (params: Params): string =>
  JSON.stringify(Object.entries(params).sort(([left], [right]) => (left < right ? -1 : 1)));

/** What became of one finalist. */
export interface Replicated {
  /** The trial of the study; null when none has these parameters any more. */
  readonly original: Trial | null;
  readonly params: Params;
  /** Runs with a value of their own, and all of them. */
  readonly complete: number;
  readonly runs: number;
  /** Per objective over the runs with a value. NaN without any. */
  readonly mean: readonly number[];
  /** Sample standard deviation over seeds, NaN with fewer than two. */
  readonly sd: readonly number[];
}

/** The finalists in the order in which they were enqueued, which is best first. */
export function replicatesOf(
  original: readonly Trial[],
  replicates: readonly Trial[],
  objectives: number,
): readonly Replicated[] {
  const firstOf = new Map<string, Trial>();
  for (const trial of [...original].sort((left, right) => left.number - right.number)) {
    const key = keyOf(trial.params);
    if (trial.state === 'COMPLETE' && !firstOf.has(key)) firstOf.set(key, trial);
  }
  const groups = new Map<string, Trial[]>();
  for (const trial of [...replicates].sort((left, right) => left.number - right.number)) {
    // What waits has no parameters yet that one could tell it by.
    if (Object.keys(trial.params).length === 0) continue;
    const key = keyOf(trial.params);
    groups.set(key, [...(groups.get(key) ?? []), trial]);
  }
  return [...groups].map(([key, runs]) => {
    // A value that the failure policy set (`diverged`) is none that the parameters had.
    const complete = runs.filter(({ state, reason }) => state === 'COMPLETE' && reason === 'finished');
    const values = (index: number): readonly number[] => complete.map((trial) => trial.values[index] ?? NaN);
    const each = (figure: (values: readonly number[]) => number): readonly number[] =>
      Array.from({ length: objectives }, (_, index) => figure(values(index)));
    return {
      original: firstOf.get(key) ?? null,
      params: runs[0]?.params ?? {},
      complete: complete.length,
      runs: runs.length,
      mean: each((of) => mean(of)),
      sd: each((of) => Math.sqrt(variance(of, 1))),
    };
  });
}
