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
  type Responder,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  type ServerListener,
  type ServerMethodDefinition,
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
  /** The port of loopback for workers that this process starts: every caller there has to prove it, whatever holds elsewhere. */
  readonly local?: LocalPort;
  /** Bound what one address may ask for; by default where `check` is. */
  readonly limited?: boolean;
  readonly clock: Clock;
  readonly log: Log;
  /** Told of calls that are not let in; nobody by default. */
  readonly calls?: Pick<CallObserver, 'refused'>;
}

export interface LocalPort {
  readonly check: TokenCheck;
  /** Null until it is bound. */
  readonly port: () => number | null;
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
  { check, log, limits, peer }: Guarding,
  { path, metadata }: { readonly path: string; readonly metadata: Metadata },
): Promise<Refusal | null> {
  const needed = roleNeeded(path);
  if (needed === null || check === null) return null;
  const secret = bearer(metadata);
  // Others may share the address: whoever was let in before still is.
  if (!limits.mayTry(peer) && !check.knows(secret))
    return { reason: 'banned', code: status.RESOURCE_EXHAUSTED, details: tooManyRefusals };
  const decision = await check.decide(secret, needed);
  if (decision.kind === 'granted') return null;
  // Whoever has a token of another role is no stranger who guesses.
  if (decision.kind !== 'denied') limits.refused(peer);
  log.warn({ call: path, peer, reason: decision.message }, 'call refused');
  return decision.kind === 'denied'
    ? { reason: 'role', code: status.PERMISSION_DENIED, details: decision.message }
    : { reason: 'credentials', code: status.UNAUTHENTICATED, details: decision.message };
}

/** The interceptor that lets authorised calls through. */
export function guard(options: GuardOptions): ServerInterceptor {
  const { clock, log, local, calls } = options;
  const limits = new PeerLimits(clock);
  return (method, call) => {
    const { remoteAddress: peer = 'unknown', localPort } = call.getConnectionInfo();
    const atLocal = local !== undefined && localPort === local.port();
    const check = atLocal ? local.check : options.check;
    if (check === null && options.limited !== true) return new ServerInterceptingCall(call);
    const guarded = new GuardedCall(call, method, { check, clock, log, limits, peer, calls });
    return new ServerInterceptingCall(call, guarded.responder());
  };
}

interface Guarding extends Pick<GuardOptions, 'check' | 'clock' | 'log'> {
  readonly limits: PeerLimits;
  readonly peer: string;
  readonly calls: GuardOptions['calls'] | undefined;
}

type Method = Pick<ServerMethodDefinition<unknown, unknown>, 'path' | 'requestStream'>;

/** One call, until it is let through or refused. */
class GuardedCall {
  readonly #call: ServerInterceptingCallInterface;
  readonly #method: Method;
  readonly #guarding: Guarding;
  readonly #arrival: ArrivalTimer;
  /** Counts against the calls that its peer may have at once. */
  #open = false;
  #answered = false;

  constructor(call: ServerInterceptingCallInterface, method: Method, guarding: Guarding) {
    this.#call = call;
    this.#method = method;
    this.#guarding = guarding;
    this.#arrival = new ArrivalTimer(guarding.clock, () => this.#refuse(tooSlow));
  }

  responder(): Responder {
    const { limits, peer } = this.#guarding;
    return new ResponderBuilder()
      .withStart((next) => {
        this.#open = limits.begun(peer);
        if (this.#open) {
          this.#arrival.restart();
          next(this.#listener());
        } else this.#refuse(tooManyCalls);
      })
      .withSendStatus((answer, next) => {
        this.#ended();
        next(answer);
      })
      .build();
  }

  #listener(): ServerListener {
    const { path, requestStream } = this.#method;
    return new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, next) => {
        refusalOf(this.#guarding, { path, metadata }).then(
          (refusal) => {
            if (refusal !== null) this.#refuse(refusal);
            else if (!this.#answered) next(metadata);
          },
          (error: unknown) => this.#refuse(failureOf(this.#guarding.log, path, error)),
        );
      })
      .withOnReceiveMessage((message, next) => {
        // Each piece of an upload has its own time.
        if (requestStream) this.#arrival.restart();
        next(message);
      })
      .withOnReceiveHalfClose((next) => {
        this.#arrival.stop();
        next();
      })
      .withOnCancel(() => {
        this.#answered = true;
        this.#ended();
      })
      .build();
  }

  /** Once: the store may say who calls only after the request was found too slow, or the caller has gone. */
  #refuse({ reason, code, details }: Refusal): void {
    if (this.#answered) return;
    this.#answered = true;
    this.#ended();
    this.#guarding.calls?.refused(reason);
    this.#call.sendStatus({ code, details });
  }

  #ended(): void {
    this.#arrival.stop();
    if (this.#open) this.#guarding.limits.ended(this.#guarding.peer);
    this.#open = false;
  }
}

function failureOf(log: Log, path: string, error: unknown): Refusal {
  const { code, details } = asServiceError(log, path, error);
  return { reason: 'failure', code: code ?? status.UNKNOWN, details: details ?? '' };
}

const tooManyRefusals = 'too many refused calls from this address; wait a minute';
const tooManyCalls: Refusal = {
  ...{ reason: 'rate', code: status.RESOURCE_EXHAUSTED },
  details: 'too many calls at once, or per second, from this address',
};
const tooSlow: Refusal = {
  ...{ reason: 'slow', code: status.DEADLINE_EXCEEDED },
  details: 'the request did not arrive in time',
};

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
