/**
 * What a failed statement means (the classes were measured by stopping, killing and freezing servers):
 * - `conflict`: other transactions were in the way; the whole transaction may run again.
 * - `connection`: the server or the way to it is gone. Nothing happened if the commit was not sent yet; otherwise the
 *   outcome is unknown.
 * - `refused`: the server is there and will not do it now (disk full, out of memory, too slow, read-only).
 * - `constraint`: the program contradicts the schema: a bug.
 * - `other`: any other error, also of the code around.
 */
import pg from 'pg';
import { AssertionError } from '../../../shared/core/assert.js';
import { RequestTaken, StorageUnavailable } from '../port.js';

export type FailureKind = 'conflict' | 'connection' | 'refused' | 'constraint' | 'other';

const conflictCodes = new Set(['40001', '40P01', '55P03']);

const connectionCodes = new Set([
  ...['57P01', '57P02', '57P03', '53300', '25P03'],
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOENT', 'EHOSTUNREACH', 'ENETUNREACH'],
  ...['ENOTFOUND', 'EAI_AGAIN'],
]);

/** What `pg` says when it knows already that the connection is gone, and sends nothing. */
const unsentMessages = [
  'Client has encountered a connection error and is not queryable',
  'Client was closed and is not queryable',
];

/** What `pg` says without a code. */
const connectionMessages = [
  ...unsentMessages,
  'Connection terminated',
  'timeout exceeded when trying to connect',
  'Query read timeout',
];

/** Classes: insufficient resources, operator intervention (statement_timeout), system error, internal error. */
const refusedClasses = new Set(['53', '57', '58', 'XX', '28', '3D']);

/** What a bug that breaks a constraint is told as, the same as in the store in memory. */
const constraintMessages: Readonly<Record<string, string>> = {
  trial_attempts_token: 'a lease token was given twice',
  trials_lease_token: 'a lease token was given twice',
  trials_enqueue_request: 'a request already enqueued a trial',
  trial_attempts_trial: 'the trial of an attempt does not exist',
  rows_as_read: 'the database holds other rows than those that were read from it',
  late_results_trial: 'the trial of a late result does not exist',
};

export function kindOf(error: unknown): FailureKind {
  if (!(error instanceof Error)) return 'other';
  const code = codeOf(error);
  if (conflictCodes.has(code)) return 'conflict';
  if (connectionCodes.has(code) || (error instanceof pg.DatabaseError && code.startsWith('08')))
    return 'connection';
  if (connectionMessages.some((message) => error.message.startsWith(message))) return 'connection';
  if (!(error instanceof pg.DatabaseError)) return 'other';
  if (refusedClasses.has(code.slice(0, 2)) || code === '25006') return 'refused';
  return code.startsWith('23') ? 'constraint' : 'other';
}

/** True when the statement that failed so has certainly not reached the server. */
export const wasNeverSent = (error: unknown): boolean =>
  error instanceof Error && unsentMessages.includes(error.message);

export function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** The error that leaves the store for this one; `server` says where the database is, for people. */
export function toPortError(error: unknown, server: string): unknown {
  const kind = kindOf(error);
  if (!(error instanceof Error) || kind === 'other') return error;
  if (kind === 'constraint') {
    const constraint = error instanceof pg.DatabaseError ? (error.constraint ?? '') : '';
    if (constraint === 'trial_attempts_request') return new RequestTaken({ cause: error });
    return new AssertionError(`${constraintMessages[constraint] ?? error.message} (${constraint})`, {
      cause: error,
    });
  }
  return new StorageUnavailable(explain(error, kind, server), { cause: error });
}

function explain(error: Error, kind: FailureKind, server: string): string {
  const code = codeOf(error);
  if (kind === 'conflict') return `the database at ${server} is too busy: ${error.message}`;
  if (code === '53100')
    return `the disk of the database at ${server} is full: free some space (${error.message})`;
  if (code === '57014') return `the database at ${server} took too long: ${error.message}`;
  if (kind === 'refused') return `the database at ${server} refuses work: ${error.message}`;
  const reason = error.message === '' ? code : error.message;
  return `the database at ${server} cannot be reached (${reason}): check that PostgreSQL runs there`;
}
