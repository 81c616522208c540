/** Files that trials leave: kept while the trial is held, read at any time after. */
import { createHash } from 'node:crypto';
import { trialNumber, type LeaseToken } from '../../shared/core/ids.js';
import type { Artifact, ArtifactName } from '../../shared/core/study/artifact.js';
import type { LeaseAnswer } from '../../shared/core/study/study.js';
import type { StoredArtifact } from '../storage/port.js';
import type { AppContext } from './context.js';
import { AppError } from './errors.js';
import { requireStudy } from './study-view.js';

/** Keeps a file with the trial of a lease; committed before it is answered. Sent again, it replaces itself. */
export function putArtifact(
  context: AppContext,
  token: LeaseToken,
  artifact: Artifact,
): Promise<LeaseAnswer> {
  const hash = createHash('sha256').update(artifact.content).digest('hex');
  return context.storage.putArtifact(token, { ...artifact, hash });
}

/** The file of that name that a trial left; throws `AppError` not-found. */
export async function artifactOf(
  context: AppContext,
  study: string,
  { number, name }: { readonly number: number; readonly name: ArtifactName },
): Promise<StoredArtifact> {
  const { id } = await requireStudy(context, study);
  const artifact = await context.storage.findArtifact(id, trialNumber(number), name);
  if (artifact === null)
    throw new AppError('not-found', `trial ${number} of study '${study}' left no ${name}`);
  return artifact;
}
