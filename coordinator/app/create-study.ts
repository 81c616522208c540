import { createHash } from 'node:crypto';
import { assert } from '../../shared/core/assert.js';
import type { DatasetHash } from '../../shared/core/ids.js';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import type { StudyRecord } from '../storage/port.js';
import type { AppContext } from './context.js';
import { AppError } from './errors.js';

export interface CreateStudyRequest {
  readonly definition: StudyDefinition;
  readonly definitionText: string;
  /** Budget that overrides the definition's; null for the definition's. */
  readonly trials: number | null;
  /** The data set to pin; null for none. */
  readonly dataset: DatasetHash | null;
}

export interface CreatedStudy {
  readonly study: StudyRecord;
  /** False when the study was there already and is resumed. */
  readonly created: boolean;
}

/**
 * Creates a study, or resumes the one of that name: its definition and data set must be the same (comments and the
 * budget may differ). Resuming sets the budget, and opens a finished study again when the budget grew. Throws
 * `AppError` already-exists naming what differs.
 */
export async function createStudy(context: AppContext, request: CreateStudyRequest): Promise<CreatedStudy> {
  const { definition, definitionText, dataset } = request;
  const trialsMax = request.trials ?? definition.trials;
  if (trialsMax < definition.enqueue.length)
    throw new AppError(
      'invalid-argument',
      `study '${definition.name}' enqueues ${definition.enqueue.length} trials; a budget of ${trialsMax} is less than that`,
    );
  const created = await context.storage.createStudy({
    definition: { ...definition, trials: trialsMax },
    definitionText,
    definitionHash: createHash('sha256').update(definitionText).digest('hex'),
    dataset,
    createdAtMs: context.clock.nowMs(),
  });
  context.signal.notify();
  if (created !== null) {
    context.log.info({ study: definition.name, trials: trialsMax }, 'study created');
    return { study: created, created: true };
  }
  return { study: await resumeStudy(context, request, trialsMax), created: false };
}

async function resumeStudy(
  context: AppContext,
  request: CreateStudyRequest,
  trialsMax: number,
): Promise<StudyRecord> {
  const { name } = request.definition;
  const existing = await context.storage.findStudy(name);
  assert(existing !== null, `study '${name}' exists and is not found`);
  const differences = differingFields(existing, request);
  if (differences.length > 0)
    throw new AppError(
      'already-exists',
      `study '${name}' exists with a different ${differences.join(', ')}; give the new one another name, ` +
        `or remove the old one with 'coordinator study delete ${name}'`,
    );
  await context.storage.inStudy(existing.id, async (transaction) => {
    const { nextNumber, finishSequence, state } = transaction.study();
    if (trialsMax < nextNumber)
      throw new AppError(
        'failed-precondition',
        `study '${name}' has given out ${nextNumber} trials already; its budget cannot be ${trialsMax}: give --trials ${nextNumber} or more`,
      );
    const open = nextNumber < trialsMax || finishSequence < nextNumber;
    const next = state === 'FINISHED' && open ? 'RUNNING' : state === 'RUNNING' && !open ? 'FINISHED' : state;
    await transaction.setStudy({ trialsMax, state: next });
  });
  const resumed = await context.storage.findStudy(name);
  assert(resumed !== null, `study '${name}' vanished while it was resumed`);
  context.log.info({ study: name, trials: trialsMax, finished: resumed.finishSequence }, 'study resumed');
  return resumed;
}

/** Names of the parts in which a stored study and a new definition differ; the budget is not one of them. */
function differingFields(existing: StudyRecord, request: CreateStudyRequest): readonly string[] {
  const fields = [
    'objectives',
    'sampler',
    'space',
    'fixed',
    'enqueue',
    'trainer',
    'evaluation',
    'failure',
    'data',
  ] as const;
  const differing: string[] = fields.filter(
    (field) => !sameJson(existing.definition[field], request.definition[field]),
  );
  if (existing.dataset !== request.dataset)
    differing.push(`data set (${short(existing.dataset)} then, ${short(request.dataset)} now)`);
  return differing;
}

const short = (hash: DatasetHash | null): string => (hash === null ? 'none' : `sha256 ${hash.slice(0, 12)}…`);

const sameJson = (a: unknown, b: unknown): boolean => canonical(a) === canonical(b);

/** JSON text with sorted keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
