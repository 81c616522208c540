/**
 * Whether another answer is as good as ours but for the last bits of exp and log (tpe.md §11): of equally good candidates
 * Parzen takes the first, and so does Optuna, after its own rounding.
 */
import { SamplerSession } from '../../shared/core/sampler/sampler-session.js';
import type { SuggestRequest, TpeSettings } from '../../shared/core/sampler/sampler.js';
import { estimatorRules } from '../../shared/core/sampler/tpe/estimator-rules.js';
import { GroupSpaces, IntersectionSpace } from '../../shared/core/sampler/tpe/joint-space.js';
import { splitHistory, TpeModel, type SplitHistory } from '../../shared/core/sampler/tpe/model.js';
import { trialParameters } from '../../shared/core/sampler/trial-parameters.js';
import { fromInternal } from '../../shared/core/space/parameter-values.js';
import type { Params, Space } from '../../shared/core/space/parameter.js';

/** Scores closer than this, relative to the densities they are the difference of, cannot be told apart. */
const scoreTolerance = 1e-12;
const valueTolerance = 1e-9;

interface Ranked {
  readonly space: Space;
  /** Candidates that score as well as the best. */
  readonly best: readonly (readonly number[])[];
}

/** Every model that the suggestion asks, with its best candidates. */
function rankedCandidates(
  request: SuggestRequest,
  settings: TpeSettings,
  { seed, history }: { readonly seed: number; readonly history: SplitHistory },
): Ranked[] {
  const { finished, space } = request;
  const ranked: Ranked[] = [];
  const { multivariate, group, eiCandidates } = settings;
  const rules = estimatorRules(settings.rules, multivariate || group);
  const suggestable = { space, settings, finishedCount: finished.length, fixed: request.fixed ?? {} };
  new SamplerSession(seed).resolve(suggestable, () => ({
    jointSpaces: () => {
      if (!multivariate && !group) return [];
      const spaces = group ? new GroupSpaces() : new IntersectionSpace();
      for (const trial of finished) spaces.fold(trialParameters(trial, space));
      return spaces.spaces();
    },
    suggest: (joint, rng) => {
      const model = new TpeModel(joint, history, rules);
      const columns = model.good.sample(eiCandidates, rng);
      const candidates = Array.from({ length: eiCandidates }, (_, i) =>
        columns.map((column) => column[i] ?? 0),
      );
      const scores = candidates.map((candidate) => model.score(candidate));
      const highest = Math.max(...scores);
      const best = candidates.filter((candidate, i) => {
        const size = Math.max(1, Math.abs(model.good.logDensity(candidate)));
        return (scores[i] ?? -Infinity) >= highest - scoreTolerance * size;
      });
      ranked.push({ space: joint, best });
      const first = candidates[scores.indexOf(highest)] ?? [];
      return new Map(joint.map((parameter, j) => [parameter.name, first[j] ?? 0]));
    },
  }));
  return ranked;
}

function isNear(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'number' || typeof b !== 'number') return false;
  return Math.abs(a - b) <= valueTolerance * Math.max(Math.abs(a), Math.abs(b));
}

/**
 * Whether every part of `theirs` that a model suggested is one of that model's best candidates; by another split of the
 * history than ours where one is given.
 */
export function isNearTie(
  request: SuggestRequest,
  theirs: Params,
  { seed, split }: { readonly seed: number; readonly split?: SplitHistory },
): boolean {
  const { finished, running, directions, settings, fixed = {} } = request;
  if (settings.type !== 'tpe') return false;
  const history = split ?? splitHistory(finished, running, directions, settings);
  return rankedCandidates(request, settings, { seed, history }).every(({ space, best }) =>
    best.some((candidate) =>
      space.every(
        (parameter, j) =>
          Object.hasOwn(fixed, parameter.name) ||
          !Object.hasOwn(theirs, parameter.name) ||
          isNear(theirs[parameter.name], fromInternal(parameter, candidate[j] ?? 0)),
      ),
    ),
  );
}
