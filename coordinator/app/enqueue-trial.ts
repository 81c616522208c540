import type { RequestId, TrialNumber } from '../../shared/core/ids.js';
import { isOnGrid, toInternal } from '../../shared/core/space/parameter-values.js';
import type { Parameter, Params } from '../../shared/core/space/parameter.js';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import type { AppContext } from './context.js';
import { AppError, studyNotFound } from './errors.js';
import { requireStudy } from './study-view.js';

/**
 * Adds a trial to be tried next, within the budget. Parameters that are missing are suggested when it starts; values off the
 * grid are used as given and marked. Idempotent by request id. Throws `AppError` for unknown parameters, values of
 * the wrong kind, and a budget that is used up.
 */
export async function enqueueTrial(
  context: AppContext,
  name: string,
  { requestId, params }: { readonly requestId: RequestId; readonly params: Params },
): Promise<TrialNumber> {
  const { id, definition } = await requireStudy(context, name);
  refuseBadParams(definition, params);
  const number = await context.storage.inStudy(id, async (transaction) => {
    const repeated = await transaction.trialByEnqueueRequest(requestId);
    if (repeated !== null) return repeated.number;
    const { nextNumber, trialsMax, state } = transaction.study();
    if (state === 'STOPPED' || nextNumber >= trialsMax)
      throw new AppError(
        'failed-precondition',
        `study '${name}' takes no more trials (${nextNumber} of ${trialsMax} given out, state ${state}); ` +
          `start it with a larger budget: --trials ${nextNumber + 1}`,
      );
    const trial = await transaction.insertTrial({
      state: 'WAITING',
      reason: null,
      given: params,
      params: null,
      offGrid: definition.space.some((p) => p.name in params && !isOnGrid(p, params[p.name] ?? null)),
      values: [],
      metrics: {},
      attempt: 0,
      retries: { error: 0, timeout: 0, lost: 0 },
      lease: null,
      memoryFloorBytes: null,
      watermark: null,
      worker: null,
      message: '',
      cancelRequested: false,
      lastReport: null,
      enqueueRequestId: requestId,
      createdAtMs: context.clock.nowMs(),
      startedAtMs: null,
      finishedAtMs: null,
    });
    return trial.number;
  });
  if (number === null) throw studyNotFound(name);
  context.signal.notify(id);
  return number;
}

function refuseBadParams({ name, space }: StudyDefinition, params: Params): void {
  const names = new Map(space.map((parameter) => [parameter.name, parameter]));
  const problems = Object.entries(params).flatMap(([key, value]) => {
    const parameter = names.get(key);
    if (parameter === undefined)
      return [
        `'${key}' is not a parameter of study '${name}'; its parameters are ${[...names.keys()].join(', ')}`,
      ];
    return toInternal(parameter, value) === null
      ? [`'${key}': ${JSON.stringify(value)} is not ${wanted(parameter)}`]
      : [];
  });
  if (problems.length > 0) throw new AppError('invalid-argument', problems.join('; '));
}

function wanted(parameter: Parameter): string {
  if (parameter.kind === 'categorical') return `one of ${JSON.stringify(parameter.choices)}`;
  const positive = parameter.log ? ' above 0' : '';
  return `a${parameter.kind === 'int' ? ' whole' : ''} number${positive} (range ${parameter.low} to ${parameter.high})`;
}
