/**
 * The ids of the system. Each is a plain string or number with a brand, so that one cannot stand in for another.
 * They are minted here and nowhere else; randomness and storage sequences are arguments.
 */
declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };

/** Row id of a study in storage, increasing. */
export type StudyId = Branded<number, 'StudyId'>;
/** 0-based number of a trial within its study; handed out exactly once. */
export type TrialNumber = Branded<number, 'TrialNumber'>;
/** A worker process, chosen by the worker at start and stable until it ends. */
export type WorkerId = Branded<string, 'WorkerId'>;
/** Fencing token of one lease; unguessable, never reused. */
export type LeaseToken = Branded<string, 'LeaseToken'>;
/** Chosen by a caller for one logical call, the same when the call is retried. */
export type RequestId = Branded<string, 'RequestId'>;
/** Lower-case hexadecimal SHA-256 of a data set's canonical bytes. */
export type DatasetHash = Branded<string, 'DatasetHash'>;

export const studyId = (value: number): StudyId => value as StudyId;
export const trialNumber = (value: number): TrialNumber => value as TrialNumber;
export const workerId = (value: string): WorkerId => value as WorkerId;
export const leaseToken = (value: string): LeaseToken => value as LeaseToken;
export const requestId = (value: string): RequestId => value as RequestId;
export const datasetHash = (value: string): DatasetHash => value as DatasetHash;
