import type { PoolClient } from 'pg';
import { assert } from '../../../shared/core/assert.js';
import { kindOf, wasNeverSent } from './failure.js';

/** A commit was sent and no answer came: it may have happened. Never run again; the caller looks by its ids. */
export class OutcomeUnknown extends Error {
  override readonly name = 'OutcomeUnknown';
}

/**
 * Commits; sent at once. `failure` tells whether a statement sent before has failed: then the server rolls back, and answers
 * the commit with the tag ROLLBACK instead of an error. Rejects with `OutcomeUnknown`, or with that failure.
 */
export async function commit(
  client: PoolClient,
  failure: () => { readonly error: unknown } | null,
): Promise<void> {
  const committing = client.query('commit');
  try {
    const { command } = await committing;
    if (command === 'COMMIT') return;
  } catch (error) {
    if (kindOf(error) === 'connection' && !wasNeverSent(error))
      throw new OutcomeUnknown('no answer to commit', { cause: error });
    throw error;
  }
  const failed = failure();
  assert(failed !== null, 'a transaction rolled back without an error');
  throw failed.error;
}

/** Is the connection gone? */
export const isBroken = (error: unknown): boolean =>
  error instanceof OutcomeUnknown || kindOf(error) === 'connection';
