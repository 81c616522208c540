import type { LeaseToken, StudyId, TrialNumber } from '../../../shared/core/ids.js';
import type { ArtifactName } from '../../../shared/core/study/artifact.js';
import { canonicalText, canonicalToken } from '../canonical.js';
import type { LeaseAnswer, StoredArtifact } from '../port.js';
import type { Database } from './database.js';
import { query } from './query.js';
import { leaseAnswer, type CancelRow } from './rows.js';
import * as statements from './statements/artifacts.js';

/** `Storage.putArtifact`; one statement, on none of the connections that heartbeats need. */
export async function putArtifact(
  database: Database,
  token: LeaseToken,
  { name, layout, hash, content }: StoredArtifact,
): Promise<LeaseAnswer> {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  const values = [canonicalToken(token), name, canonicalText(layout), hash, bytes];
  const [row] = await database.repeatable('statements', (pool) =>
    query<CancelRow>(pool, statements.putArtifact, values),
  );
  return leaseAnswer(row);
}

interface ArtifactRow {
  readonly name: ArtifactName;
  readonly layout: string;
  readonly hash: string;
  readonly content: Buffer;
}

export async function findArtifact(
  database: Database,
  {
    study,
    number,
    name,
  }: { readonly study: StudyId; readonly number: TrialNumber; readonly name: ArtifactName },
): Promise<StoredArtifact | null> {
  const [row] = await database.repeatable('statements', (pool) =>
    query<ArtifactRow>(pool, statements.findArtifact, [study, number, name]),
  );
  return row === undefined ? null : { ...row, content: new Uint8Array(row.content) };
}
