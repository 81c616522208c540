/** Suggestions as pure functions of their request: the same request and seed give the same values, on any machine. */
import type { Params, Space } from '../space/parameter.js';
import { trialSeed } from './mt19937.js';
import type { SuggestRequest, TpeSettings } from './sampler.js';
import type { JointModels, SamplerSession } from './sampler-session.js';
import { StudySampler } from './study-sampler.js';
import { GroupSpaces, IntersectionSpace } from './tpe/joint-space.js';
import { splitHistory, suggestJointly, type SplitHistory } from './tpe/model.js';
import { trialParameters } from './trial-parameters.js';

/** The models of one request, each fitted from scratch: the plain way, which `StudySampler` must agree with. */
function plainModels(request: SuggestRequest, settings: TpeSettings): JointModels {
  const { finished, running, directions, space } = request;
  let history: SplitHistory | null = null;
  return {
    jointSpaces: (): readonly Space[] => {
      const { multivariate, group } = settings;
      if (!multivariate && !group) return [];
      const spaces = group ? new GroupSpaces() : new IntersectionSpace();
      for (const trial of finished) spaces.fold(trialParameters(trial, space));
      return spaces.spaces();
    },
    suggest: (joint, rng) => {
      history ??= splitHistory(finished, running, directions, settings);
      return suggestJointly(joint, history, settings, rng);
    },
  };
}

/**
 * The plain suggestion: everything fitted from scratch by the readable code under `tpe/`, within a session whose streams
 * go on from trial to trial. `settings.seed` and `number` are not looked at. Throws a `SamplerError` for values or
 * distributions that cannot be.
 */
export function suggestPlainly(request: SuggestRequest, session: SamplerSession): Params {
  const { space, settings, finished, running, fixed } = request;
  for (const trial of [...finished, ...running]) trialParameters(trial, space);
  const suggestable = {
    space,
    settings,
    finishedCount: finished.length,
    ...(fixed === undefined ? {} : { fixed }),
  };
  return session.resolve(suggestable, () =>
    settings.type === 'tpe'
      ? plainModels(request, settings)
      : { jointSpaces: () => [], suggest: () => new Map() },
  );
}

/** A sampler that has taken in the finished trials of a request. */
export function samplerOf(
  request: Pick<SuggestRequest, 'space' | 'directions' | 'settings' | 'finished'>,
): StudySampler {
  const sampler = new StudySampler(request);
  for (const trial of request.finished) sampler.fold(trial);
  return sampler;
}

/** A suggestion from a given MT19937 seed, as a fresh Optuna sampler with that seed would make it. */
export function suggestWithSeed(request: SuggestRequest, seed: number): Params {
  return samplerOf(request).suggestWithSeed(request, seed);
}

/** The suggestion for trial `request.number` of a study: one random stream per trial, from the study's seed. */
export function suggest(request: SuggestRequest): Params {
  return suggestWithSeed(request, trialSeed(request.settings.seed, request.number));
}
