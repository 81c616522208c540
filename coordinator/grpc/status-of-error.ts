import { status, type ServiceError } from '@grpc/grpc-js';
import { InvalidMessage } from '../../shared/wire/convert.js';
import { AppError, type AppErrorCode } from '../app/errors.js';
import { StorageUnavailable } from '../storage/port.js';

const codes: Readonly<Record<AppErrorCode, status>> = {
  'not-found': status.NOT_FOUND,
  'already-exists': status.ALREADY_EXISTS,
  'failed-precondition': status.FAILED_PRECONDITION,
  'invalid-argument': status.INVALID_ARGUMENT,
};

/** A failure as the caller may see it. */
export interface CallFailure extends Pick<ServiceError, 'code' | 'details'> {
  /** A bug of ours: the whole error belongs in the log, the caller learns nothing of it. */
  readonly unexpected: boolean;
}

/** The only place where errors become gRPC statuses. */
export function statusOfError(error: unknown): CallFailure {
  if (error instanceof AppError)
    return { code: codes[error.code], details: error.message, unexpected: false };
  if (error instanceof InvalidMessage)
    return { code: status.INVALID_ARGUMENT, details: error.message, unexpected: false };
  if (error instanceof StorageUnavailable)
    return {
      code: status.UNAVAILABLE,
      details: `the store is unavailable: ${error.message}`,
      unexpected: false,
    };
  return {
    code: status.UNKNOWN,
    details: "internal error; the coordinator's log has the details",
    unexpected: true,
  };
}
