/**
 * What stands between an open network and the services: who calls (a token of the right role), how much (calls and
 * refusals per peer), and how slowly (a request has to arrive). A call is let through only after all three; until then
 * none of its message is read. Installed where tokens are required; on loopback there is no guard.
 */
import {
  ResponderBuilder,
  ServerInterceptingCall,
  ServerListenerBuilder,
  status,
  type Metadata,
  type ServerInterceptor,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import type { Role } from '../../shared/core/access.js';
import type { Clock } from '../../shared/platform/clock.js';
import type { Log } from '../../shared/platform/log.js';
import { AccessServiceService } from '../../shared/wire/gen/parzen/v1/access.js';
import { StudyServiceService } from '../../shared/wire/gen/parzen/v1/study.js';
import { TrialServiceService } from '../../shared/wire/gen/parzen/v1/trial.js';
import type { CallObserver, RefusalReason } from '../app/observer.js';
import type { TokenCheck } from '../app/tokens.js';
import { asServiceError } from './handlers.js';
import { requestArrivalMs } from './limits.js';
import { PeerLimits } from './peer-limits.js';

export interface GuardOptions {
  /** Who may call what; null where nobody has to prove anything. */
  readonly check: TokenCheck | null;
  readonly clock: Clock;
  readonly log: Log;
  /** Told of calls that are not let in; nobody by default. */
  readonly calls?: Pick<CallObserver, 'refused'>;
}

const readMethods: ReadonlySet<string> = new Set([
  'getStudy',
  'listStudies',
  'watchStudy',
  'listTrials',
  'getArtifact',
  'verifyStudy',
  'listDatasets',
]);

const paths = (service: ServiceDefinition, role: (method: string) => Role): [string, Role][] =>
  Object.entries(service).map(([method, { path }]) => [path, role(method)]);

/** The role that a call needs, by path; a path that is not here is open to an admin only. */
const neededRoles: ReadonlyMap<string, Role> = new Map([
  ...paths(TrialServiceService, () => 'worker'),
  ...paths(StudyServiceService, (method) => (readMethods.has(method) ? 'read' : 'admin')),
  ...paths(AccessServiceService, () => 'admin'),
]);

/** Answers probes without a token: they cannot send one, and learn nothing but whether this process serves. */
const isOpen = (path: string): boolean => path.startsWith('/grpc.health.v1.Health/');

export const roleNeeded = (path: string): Role | null =>
  isOpen(path) ? null : (neededRoles.get(path) ?? 'admin');

interface Refusal {
  readonly reason: RefusalReason;
  readonly code: status;
  readonly details: string;
}

/** Why a call must not go on; null when it may. */
async function refusalOf(
  { check, log, limits }: GuardOptions & { readonly limits: PeerLimits },
  { path, peer, metadata }: { readonly path: string; readonly peer: string; readonly metadata: Metadata },
): Promise<Refusal | null> {
  const needed = roleNeeded(path);
  if (needed === null || check === null) return null;
  const secret = bearer(metadata);
  // Others may share the address: whoever was let in before still is.
  if (!limits.mayTry(peer) && !check.knows(secret))
    return { reason: 'banned', code: status.RESOURCE_EXHAUSTED, details: tooManyRefusals };
  const decision = await check.decide(secret, needed);
  if (decision.kind === 'granted') return null;
  limits.refused(peer);
  log.warn({ call: path, peer, reason: decision.message }, 'call refused');
  return decision.kind === 'denied'
    ? { reason: 'role', code: status.PERMISSION_DENIED, details: decision.message }
    : { reason: 'credentials', code: status.UNAUTHENTICATED, details: decision.message };
}

/** The interceptor that lets authorised calls through. */
export function guard(options: GuardOptions): ServerInterceptor {
  const { clock, log } = options;
  const limits = new PeerLimits(clock);
  return ({ path, requestStream }, call) => {
    const peer = call.getConnectionInfo().remoteAddress ?? 'unknown';
    let open = false;
    const ended = (): void => {
      arrival.stop();
      if (open) limits.ended(peer);
      open = false;
    };
    const refuse = ({ reason, code, details }: Refusal): void => {
      ended();
      options.calls?.refused(reason);
      call.sendStatus({ code, details });
    };
    const arrival = new ArrivalTimer(clock, () =>
      refuse({
        reason: 'slow',
        code: status.DEADLINE_EXCEEDED,
        details: 'the request did not arrive in time',
      }),
    );
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, next) => {
        refusalOf({ ...options, limits }, { path, peer, metadata }).then(
          (refusal) => (refusal === null ? next(metadata) : refuse(refusal)),
          (error: unknown) => refuse(failureOf(log, path, error)),
        );
      })
      .withOnReceiveMessage((message, next) => {
        // Each piece of an upload has its own time.
        if (requestStream) arrival.restart();
        next(message);
      })
      .withOnReceiveHalfClose((next) => {
        arrival.stop();
        next();
      })
      .withOnCancel(ended)
      .build();
    const responder = new ResponderBuilder()
      .withStart((next) => {
        open = limits.begun(peer);
        if (open) {
          arrival.restart();
          next(listener);
        } else refuse({ reason: 'rate', code: status.RESOURCE_EXHAUSTED, details: tooManyCalls });
      })
      .withSendStatus((answer, next) => {
        ended();
        next(answer);
      })
      .build();
    return new ServerInterceptingCall(call, responder);
  };
}

function failureOf(log: Log, path: string, error: unknown): Refusal {
  const { code, details } = asServiceError(log, path, error);
  return { reason: 'failure', code: code ?? status.UNKNOWN, details: details ?? '' };
}

const tooManyRefusals = 'too many refused calls from this address; wait a minute';
const tooManyCalls = 'too many calls at once, or per second, from this address';

/** The secret of `authorization: Bearer SECRET`; null without one. */
function bearer(metadata: Metadata): string | null {
  const [value] = metadata.get('authorization');
  return /^Bearer ([!-~]+)$/i.exec(String(value ?? ''))?.[1] ?? null;
}

/** Runs out when a request, or the next piece of it, takes too long. */
class ArrivalTimer {
  readonly #clock: Clock;
  readonly #late: () => void;
  #running: AbortController | null = null;

  constructor(clock: Clock, late: () => void) {
    this.#clock = clock;
    this.#late = late;
  }

  restart(): void {
    this.stop();
    const running = new AbortController();
    this.#running = running;
    void this.#clock.sleep(requestArrivalMs, running.signal).then(() => {
      if (!running.signal.aborted) this.#late();
    });
  }

  stop(): void {
    this.#running?.abort();
    this.#running = null;
  }
}
