/** Kinds of refusal, one per gRPC status that the adapter maps them to. */
export type AppErrorCode = 'not-found' | 'already-exists' | 'failed-precondition' | 'invalid-argument';

/** A request that cannot be granted; the message names the place and the remedy and is shown to the caller. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: AppErrorCode;

  constructor(code: AppErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export const studyNotFound = (name: string): AppError =>
  new AppError('not-found', `there is no study '${name}'; 'coordinator study list' shows those that exist`);
