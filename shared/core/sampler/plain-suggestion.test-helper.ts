/** The reference that the fast path must agree with: readable, and everything fitted from scratch for every suggestion. */
import type { Params, Space } from '../space/parameter.js';
import type { SuggestRequest, TpeSettings } from './sampler.js';
import type { JointModels, SamplerSession } from './sampler-session.js';
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
