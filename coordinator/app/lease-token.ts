import { leaseToken, studyId, type LeaseToken, type StudyId } from '../../shared/core/ids.js';

/**
 * A lease token names its study, so that whoever brings it is answered in one transaction. For everyone else it is an
 * opaque text; that it is somebody's lease only the store says.
 */
export const tokenFor = (study: StudyId, secret: string): LeaseToken => leaseToken(`${study}.${secret}`);

/** The study that a token says it is of; null when it says nothing. */
export function studyOfToken(token: LeaseToken): StudyId | null {
  const [, digits] = /^(\d{1,15})\./.exec(token) ?? [];
  return digits === undefined ? null : studyId(Number(digits));
}
