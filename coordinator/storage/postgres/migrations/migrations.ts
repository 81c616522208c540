import { createHash } from 'node:crypto';
import { firstSchema } from './0001-first-schema.js';
import { studyChanges } from './0002-study-changes.js';
import { tokensSchema } from './0003-tokens.js';
import { optunaViews } from './0004-optuna-views.js';
import { workerOffers } from './0005-worker-offers.js';
import { oneWayToARow } from './0006-one-way-to-a-row.js';
import { workerStates } from './0007-worker-states.js';
import { reasonsApart } from './0008-reasons-apart.js';

export interface Migration {
  /** From 1, without gaps. */
  readonly id: number;
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of `sql`: a migration that has been applied anywhere never changes again. */
  readonly sha256: string;
}

const texts: readonly (readonly [name: string, sql: string])[] = [
  ['first-schema', firstSchema],
  ['study-changes', studyChanges],
  ['tokens', tokensSchema],
  ['optuna-views', optunaViews],
  ['worker-offers', workerOffers],
  ['one-way-to-a-row', oneWayToARow],
  ['worker-states', workerStates],
  ['reasons-apart', reasonsApart],
];

/** All migrations, in order. New ones go to the end; there is no way back. */
export const migrations: readonly Migration[] = texts.map(([name, sql], index) => ({
  id: index + 1,
  name,
  sql,
  sha256: createHash('sha256').update(sql).digest('hex'),
}));
