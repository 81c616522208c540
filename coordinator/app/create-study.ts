import { createHash } from 'node:crypto';
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
  const { name, trials, enqueue } = request.definition;
  const trialsMax = request.trials ?? trials;
  if (trialsMax < enqueue.length)
    throw new AppError(
      'invalid-argument',
      `study '${name}' enqueues ${enqueue.length} trials; a budget of ${trialsMax} is less than that`,
    );
  for (let tries = 0; tries < triesMax; tries++) {
    const study = await createNew(context, request, trialsMax);
    if (study !== null) return { study, created: true };
    const existing = await resumeStudy(context, request, trialsMax);
    if (existing !== null) return { study: existing, created: false };
  }
  throw new AppError(
    'failed-precondition',
    `study '${name}' is being made and deleted by others again and again; give this one another name`,
  );
}

/** How often a study may be there when it is to be made, and gone when it is to be resumed. */
const triesMax = 10;

/** Null when there is a study of that name. */
async function createNew(
  context: AppContext,
  { definition, definitionText, dataset }: CreateStudyRequest,
  trialsMax: number,
): Promise<StudyRecord | null> {
  const created = await context.storage.createStudy({
    definition: { ...definition, trials: trialsMax },
    definitionText,
    definitionHash: createHash('sha256').update(definitionText).digest('hex'),
    dataset,
    createdAtMs: context.clock.nowMs(),
  });
  if (created === null) return null;
  context.signal.notify();
  context.log.info({ study: definition.name, trials: trialsMax }, 'study created');
  return created;
}

/** Null when there is no study of that name any more. */
async function resumeStudy(
  context: AppContext,
  request: CreateStudyRequest,
  trialsMax: number,
): Promise<StudyRecord | null> {
  const { name } = request.definition;
  const existing = await context.storage.findStudy(name);
  if (existing === null) return null;
  const differences = differingFields(existing, request);
  if (differences.length > 0)
    throw new AppError(
      'already-exists',
      `study '${name}' exists with a different ${differences.join(', ')}; give the new one another name, ` +
        `or remove the old one with 'coordinator study delete ${name}'`,
    );
  const resumed = await context.storage.inStudy(existing.id, async (transaction) => {
    const { nextNumber, finishSequence, state } = transaction.study();
    if (trialsMax < nextNumber)
      throw new AppError(
        'failed-precondition',
        `study '${name}' has given out ${nextNumber} trials already; its budget cannot be ${trialsMax}: give --trials ${nextNumber} or more`,
      );
    const open = nextNumber < trialsMax || finishSequence < nextNumber;
    const next = state === 'FINISHED' && open ? 'RUNNING' : state === 'RUNNING' && !open ? 'FINISHED' : state;
    await transaction.setStudy({ trialsMax, state: next });
    return transaction.study();
  });
  if (resumed === null) return null;
  context.signal.notify();
  context.log.info({ study: name, trials: trialsMax, finished: resumed.finishSequence }, 'study resumed');
  return resumed;
}

/** What a study cannot change once it has begun. */
const lastingFields = [
  'objectives',
  'sampler',
  'space',
  'fixed',
  'enqueue',
  'trainer',
  'evaluation',
  'failure',
  'data',
] as const satisfies (keyof StudyDefinition)[];

/** Names of the parts in which two definitions differ, the name and the budget aside. */
export const definitionDifferences = (
  one: StudyDefinition,
  other: StudyDefinition,
): readonly (typeof lastingFields)[number][] =>
  lastingFields.filter((field) => !sameJson(one[field], other[field]));

/** Names of the parts in which a stored study and a new definition differ; the budget is not one of them. */
function differingFields(existing: StudyRecord, request: CreateStudyRequest): readonly string[] {
  const differing: string[] = [...definitionDifferences(existing.definition, request.definition)];
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
