import type { handleUnaryCall, sendUnaryData, ServerUnaryCall, ServiceError } from '@grpc/grpc-js';
import { artifactNames, type ArtifactName } from '../../shared/core/study/artifact.js';
import type { Log } from '../../shared/platform/log.js';
import { InvalidMessage } from '../../shared/wire/convert.js';
import { idLengthMax, nameLengthMax } from '../../shared/wire/limits.js';
import { CallEnding, type CallEnd } from '../app/call-end.js';
import { detailsBytesMax } from './limits.js';
import { statusOfError } from './status-of-error.js';

/** A unary handler from an async function; failures become statuses, unexpected ones are logged whole. */
export function unaryHandler<Request, Response>(
  log: Log,
  handle: (request: Request) => Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>): void => {
    handle(call.request).then(
      (response) => callback(null, response),
      (error: unknown) => callback(asServiceError(log, call.getPath(), error)),
    );
  };
}

/**
 * A unary handler that may hold its call. `end` aborts when the caller is gone, and for all held calls when `stopping`
 * does.
 */
export function heldHandler<Request, Response>(
  { log, stopping }: { readonly log: Log; readonly stopping: AbortSignal },
  handle: (request: Request, end: CallEnd) => Promise<Response>,
): handleUnaryCall<Request, Response> {
  const held = new Set<CallEnding>();
  stopping.addEventListener('abort', () => held.forEach((each) => each.end()), { once: true });
  return (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>): void => {
    const ending = new CallEnding();
    if (stopping.aborted) ending.end();
    held.add(ending);
    // It also says so after every call that was answered.
    call.on('cancelled', () => held.has(ending) && ending.end());
    const release = (): boolean => held.delete(ending);
    handle(call.request, ending).then(
      (response) => {
        release();
        callback(null, response);
      },
      (error: unknown) => {
        release();
        callback(asServiceError(log, call.getPath(), error));
      },
    );
  };
}

export function asServiceError(log: Log, path: string, error: unknown): Partial<ServiceError> {
  const { code, details, unexpected } = statusOfError(error);
  if (unexpected)
    log.error(
      { call: path, err: error, stack: error instanceof Error ? error.stack : undefined },
      'call failed',
    );
  return { code, details: asDetails(details) };
}

/** A text as the details of a status can carry it: cut where it is long, and without halves of characters. */
export function asDetails(text: string): string {
  // A text that was cut to some length may end in half a pair of surrogates, which cannot be encoded.
  const characters = Buffer.from(text).toString();
  let end = 0;
  let bytes = 0;
  for (const character of characters) {
    bytes += encodeURI(character).length;
    if (bytes > detailsBytesMax) return `${characters.slice(0, end)} …`;
    end += character.length;
  }
  return characters;
}

/** An id chosen by a caller: 1 to 128 printable characters. */
export function checkedId(value: string, field: string): string {
  if (value.length === 0 || value.length > idLengthMax || hasControlCharacter(value))
    throw new InvalidMessage(`${field} must have 1 to ${idLengthMax} printable characters`);
  return value;
}

/** A name for people: 1 to 256 printable characters. */
export function checkedName(value: string, field: string): string {
  if (value.length === 0 || value.length > nameLengthMax || hasControlCharacter(value))
    throw new InvalidMessage(`${field} must have 1 to ${nameLengthMax} printable characters`);
  return value;
}

/** The name of a file that a trial can leave. */
export function checkedArtifactName(value: string): ArtifactName {
  const known = artifactNames.find((name) => name === value);
  if (known === undefined) throw new InvalidMessage(`name must be one of: ${artifactNames.join(', ')}`);
  return known;
}

/** A text for people: cut to `lengthMax`, NUL characters taken out (PostgreSQL cannot store them). */
export const cleanText = (value: string, lengthMax: number): string =>
  value.replaceAll('\0', '').slice(0, lengthMax);

const hasControlCharacter = (value: string): boolean => /\p{Cc}/u.test(value);
