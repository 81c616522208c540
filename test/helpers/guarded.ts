/** Coordinators that ask who calls, with real certificates, and callers that have some proof or none. */
import { status } from '@grpc/grpc-js';
import path from 'node:path';
import type { Role } from '../../shared/core/access.js';
import { readClientTls, readServerTls, type ClientTls } from '../../shared/platform/tls.js';
import { unary, type RpcError } from '../../shared/wire/call.js';
import { channelParts, type ChannelSecurity } from '../../shared/wire/channel.js';
import { AccessServiceClient } from '../../shared/wire/gen/parzen/v1/access.js';
import { StudyServiceClient } from '../../shared/wire/gen/parzen/v1/study.js';
import { TrialServiceClient } from '../../shared/wire/gen/parzen/v1/trial.js';
import { localGateway } from '../../coordinator/app/study-gateway.js';
import { TokenCheck } from '../../coordinator/app/tokens.js';
import { parseStudy } from '../../coordinator/cli/parse-study.js';
import { connectionLimits } from '../../coordinator/grpc/connection-limits.js';
import type { CallObserver, RefusalReason } from '../../coordinator/app/observer.js';
import { startGrpcServer, type RunningServer } from '../../coordinator/grpc/server.js';
import { createMemoryStorage } from '../../coordinator/storage/memory/create-memory-storage.js';
import { ManualClock, testApp } from './app.js';

export const fixture = (name: string): string => path.resolve(import.meta.dirname, '../fixtures/tls', name);
export const nowMs = Date.now();
export const trusting = (ca: string, pair?: string): ClientTls =>
  readClientTls(
    {
      ca: fixture(ca),
      ...(pair === undefined ? {} : { cert: fixture(`${pair}.crt`), key: fixture(`${pair}.key`) }),
    },
    nowMs,
  );

/** Sleeps are ended by the test, not by time. */
export class HeldClock extends ManualClock {
  readonly #sleepers: { readonly ms: number; readonly wake: () => void }[] = [];

  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#sleepers.push({ ms, wake: resolve });
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  waiting(ms: number): number {
    return this.#sleepers.filter((sleeper) => sleeper.ms === ms).length;
  }

  wake(ms: number): void {
    const due = this.#sleepers.filter((sleeper) => sleeper.ms === ms);
    for (const each of due) {
      this.#sleepers.splice(this.#sleepers.indexOf(each), 1);
      each.wake();
    }
  }
}

/** What a test has opened; `closeAll` closes it. */
export const closing: (() => unknown)[] = [];

export async function closeAll(): Promise<void> {
  for (const close of closing.splice(0).reverse()) await close();
}

export interface Guarded {
  readonly server: RunningServer;
  readonly clock: HeldClock;
  readonly logged: string[];
  /** Why calls were not let in. */
  readonly refusals: RefusalReason[];
  /** The codes of all calls that metrics count as handled. */
  readonly handled: string[];
  /** Who may call at the port for own workers, where there is one. */
  readonly local: TokenCheck;
  readonly token: (role: Role) => Promise<string>;
  readonly revoke: (name: string) => Promise<void>;
}

/** What a coordinator serves, with a clock that stands still, and what it logs. */
export function served() {
  const clock = new HeldClock();
  const logged: string[] = [];
  const record = (fields: object, message: string): void => {
    logged.push(`${message} ${JSON.stringify(fields)}`);
  };
  const log = { debug: record, info: record, warn: record, error: record };
  const context = { ...testApp(createMemoryStorage()).context, clock, log };
  return { context, clock, logged, gateway: localGateway(context, parseStudy) };
}

/** A coordinator that asks for tokens, unless it shall not; with `clientCa` for certificates, too. */
export async function guarded({
  tls = true,
  clientCa = false,
  tokens = true,
  ownWorkers = false,
  connections = connectionLimits,
} = {}): Promise<Guarded> {
  const { context, gateway, clock, logged } = served();
  const refusals: RefusalReason[] = [];
  const handled: string[] = [];
  const ignore = (): void => undefined;
  const calls: CallObserver = {
    started: () => ({ received: ignore, sent: ignore, handled: (code) => handled.push(code) }),
    refused: (reason) => refusals.push(reason),
  };
  const files = { cert: fixture('server.crt'), key: fixture('server.key') };
  const local = new TokenCheck(context);
  const server = await startGrpcServer({
    ...{ context, gateway, listen: '127.0.0.1:0', limited: true, calls, connections },
    ...(ownWorkers ? { local } : {}),
    ...(tokens ? { check: new TokenCheck(context) } : {}),
    protoDirectory: path.resolve(import.meta.dirname, '../../proto'),
    ...(tls
      ? { tls: readServerTls({ ...files, ...(clientCa ? { clientCa: fixture('ca.crt') } : {}) }, nowMs) }
      : {}),
  });
  closing.push(() => server.stop());
  let made = 0;
  return {
    ...{ server, clock, logged, refusals, handled, local },
    token: async (role) => (await gateway.createToken(`${role} ${(made += 1)}`, role)).secret,
    revoke: (name) => gateway.revokeToken(name),
  };
}

/** The code with which a call ends; OK when it succeeds. */
export const codeOf = (call: Promise<unknown>): Promise<status> =>
  call.then(
    () => status.OK,
    (error: unknown) => (error as RpcError).code,
  );

export function clients(address: string, security: ChannelSecurity) {
  const [channelCredentials, options] = channelParts(security);
  const target = address.replace('127.0.0.1', 'localhost');
  const study = new StudyServiceClient(target, channelCredentials, options);
  const trial = new TrialServiceClient(target, channelCredentials, options);
  const access = new AccessServiceClient(target, channelCredentials, options);
  closing.push(() => [study, trial, access].forEach((client) => client.close()));
  const soon = { deadlineMs: 10_000 };
  return {
    list: () => codeOf(unary(study.listStudies.bind(study), {}, soon)),
    delete: () => codeOf(unary(study.deleteStudy.bind(study), { name: 'none' }, soon)),
    beat: () => codeOf(unary(trial.heartbeat.bind(trial), { workerId: 'w', leaseTokens: [] }, soon)),
    tokens: () => codeOf(unary(access.listTokens.bind(access), {}, soon)),
  };
}
