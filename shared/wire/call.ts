/** Unary calls as promises: with a deadline always, cancellable, retried where that is safe. */
import {
  Metadata,
  status,
  type CallOptions,
  type ChannelOptions,
  type ClientUnaryCall,
  type ServiceError,
} from '@grpc/grpc-js';
import { messageBytesMax } from './limits.js';

/** Names of all codes, as `NOT_FOUND`; an enum of TypeScript holds its numbers as names, too. */
export const statusNames: readonly string[] = Object.keys(status).filter((name) => !/^\d+$/.test(name));

/** A call that did not succeed. `message` is what the server said, without the code's number in front. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly code: status;

  constructor(code: status, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * The code of a failure. A server that dies in the middle of a call, or cuts it as it stops, leaves a stream without a status;
 * what grpc-js makes of that (INTERNAL, CANCELLED) says nothing about the request.
 */
function codeOf({ code, details }: ServiceError, signal: AbortSignal | undefined): status {
  const cutByServer =
    (code === status.INTERNAL && details.startsWith('Received RST_STREAM')) ||
    (code === status.CANCELLED && signal?.aborted !== true);
  return cutByServer ? status.UNAVAILABLE : code;
}

type UnaryMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: CallOptions,
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

export interface UnaryOptions {
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
}

/** One unary call. Rejects with `RpcError`; code CANCELLED when `signal` aborted it. */
export function unary<Request, Response>(
  method: UnaryMethod<Request, Response>,
  request: Request,
  { deadlineMs, signal }: UnaryOptions,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(new RpcError(status.CANCELLED, 'aborted before the call'));
      return;
    }
    const call = method(request, new Metadata(), { deadline: Date.now() + deadlineMs }, (error, response) => {
      signal?.removeEventListener('abort', abort);
      if (error === null) resolve(response);
      else reject(new RpcError(codeOf(error, signal), error.details, { cause: error }));
    });
    const abort = (): void => {
      call.cancel();
    };
    signal?.addEventListener('abort', abort, { once: true });
  });
}

const retryableCodes: ReadonlySet<status> = new Set([
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.ABORTED,
  status.RESOURCE_EXHAUSTED,
]);

/** True for failures that say nothing about the request: the same call may succeed later, here or elsewhere. */
export const isRetryable = (error: unknown): boolean =>
  error instanceof RpcError && retryableCodes.has(error.code);

export interface RetryOptions {
  /** Waits; ends early when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Uniform on [0, 1); spreads the retries of many clients. */
  readonly random: () => number;
  /** Ends the retrying; the last failure is thrown. */
  readonly signal: AbortSignal;
  readonly attemptsMax: number;
  /** Told of every failure that will be retried. */
  readonly onRetry?: (error: unknown, delayMs: number) => void;
}

const firstDelayMs = 100;
const delayMaxMs = 5_000;

/** Repeats an idempotent call while it fails retryably, with doubling, jittered delays. */
export async function retrying<T>(call: () => Promise<T>, options: RetryOptions): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      if (!isRetryable(error) || attempt >= options.attemptsMax || options.signal.aborted) throw error;
      const ceilingMs = Math.min(delayMaxMs, firstDelayMs * 2 ** Math.min(attempt - 1, 10));
      const delayMs = ceilingMs * (0.5 + options.random() / 2);
      options.onRetry?.(error, delayMs);
      await options.sleep(delayMs, options.signal);
    }
  }
}

/**
 * Channel options of every client of ours; keepalive finds a dead peer, see docs/decisions/grpc.md. Attempts to connect are
 * never far apart: by default they would be up to two minutes after a longer outage.
 */
export const clientChannelOptions = {
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': 5_000,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.max_receive_message_length': messageBytesMax,
  'grpc.max_send_message_length': messageBytesMax,
  'grpc.enable_channelz': 0,
} as const satisfies ChannelOptions;
