import type { Params } from '../../shared/core/space/parameter.js';
import { smallStudy } from '../helpers/app.js';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import type { Draw } from './draw.js';

/** The study that people may stop. */
export const stoppable = 'aside';

/** One to three studies, small enough that a run sees their beginnings and their ends. */
export function drawStudies(draw: Draw): readonly StudyDefinition[] {
  const names = ['main', ...(draw.chance(0.4) ? ['other'] : []), ...(draw.chance(0.4) ? [stoppable] : [])];
  return names.map((name) => {
    const trials = draw.whole(4, 24);
    const startupTrials = draw.whole(1, 8);
    return smallStudy({
      name,
      trials,
      sampler: {
        ...{ type: 'tpe', seed: draw.whole(0, 1_000_000), startupTrials, eiCandidates: 4 },
        ...{
          multivariate: draw.chance(0.7),
          group: false,
          constantLiar: draw.chance(0.7),
          rules: 'optuna-4',
        },
      },
      enqueue: Array.from({ length: draw.whole(0, 2) }, () => drawParams(draw)),
      failure: {
        oom: draw.pick(['retry-bigger-gpu', 'retry-bigger-gpu', 'prune', 'fail']),
        diverged: draw.pick(['value', 'prune', 'fail']),
        divergedValue: 0,
        errorRetriesMax: draw.whole(0, 2),
        timeoutRetriesMax: draw.whole(0, 2),
        lostRetriesMax: draw.whole(1, 6),
        stallTimeoutSeconds: 60,
        trialTimeoutSeconds: 600,
      },
    });
  });
}

/** Values for a trial to enqueue: all, some or none of the parameters, on the grid or off it. */
export const drawParams = (draw: Draw): Params => ({
  ...(draw.chance(0.7) ? { x: draw.whole(-150, 150) / 100 } : {}),
  ...(draw.chance(0.5) ? { c: draw.pick(['a', 'b', 'c']) } : {}),
});
