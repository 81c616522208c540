import type { LeaseToken, StudyId, TrialNumber } from '../../../shared/core/ids.js';
import type { Artifact, ArtifactName } from '../../../shared/core/study/artifact.js';
import type { LeaseAnswer } from '../../../shared/core/study/study.js';

/** A file of a trial, with the hexadecimal SHA-256 of its content. */
export interface StoredArtifact extends Artifact {
  readonly hash: string;
}

/** Files that trials leave. They go when their study goes. */
export interface ArtifactStore {
  /** Keeps a file for the trial of a lease that holds, in place of an earlier one of that name; otherwise nothing. */
  putArtifact(token: LeaseToken, artifact: StoredArtifact): Promise<LeaseAnswer>;
  /** Null where the trial left none of that name. */
  findArtifact(study: StudyId, number: TrialNumber, name: ArtifactName): Promise<StoredArtifact | null>;
}
