/** How a coordinator listens: on which addresses, with TLS or without, asking for tokens or not. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isLoopback } from '../../shared/platform/addresses.js';
import { watchServerTls } from '../../shared/platform/renewed-tls.js';
import { readServerTls, type ServerTlsFiles } from '../../shared/platform/tls.js';
import { TokenCheck } from '../app/tokens.js';
import { startHealthServer, type HealthServer } from '../grpc/health-server.js';
import { startGrpcServer, type RunningServer } from '../grpc/server.js';
import { CommandError } from './command-error.js';
import type { OpenContext } from './open-context.js';

export interface Listening {
  /** `host:port` for workers and tools. */
  readonly listen: string;
  /** Beyond loopback without TLS and tokens: the network is trusted. */
  readonly insecure: boolean;
  /** Tokens on loopback, too. */
  readonly requireTokens: boolean;
  readonly tls: ServerTlsFiles | null;
  /** `host:port` of the probes' own listener; null for none. */
  readonly healthListen: string | null;
}

/** Beyond loopback anyone could take trials and tell results: refused unless callers prove themselves. */
export function refuseOpenListening({ listen, insecure, requireTokens, tls }: Listening): void {
  if (tls !== null || isLoopback(listen)) return;
  if (requireTokens)
    throw new CommandError('--require-tokens beyond loopback needs TLS: give --tls-cert and --tls-key', 2);
  if (insecure) return;
  throw new CommandError(
    `--listen ${listen} would be open to the network; give --tls-cert and --tls-key (tokens are asked for then), ` +
      'listen on 127.0.0.1, or say --insecure if the network is trusted',
    2,
  );
}

/** What has to be said of an address that anyone may call; null where nobody can, or has to prove who they are. */
export const openWarning = ({ listen, tls, insecure, requireTokens }: Listening): string | null =>
  insecure && !requireTokens && tls?.clientCa === undefined && !isLoopback(listen)
    ? 'whoever reaches this address can take trials, tell results and delete studies: --insecure asks nobody for a token'
    : null;

export interface Servers {
  readonly server: RunningServer;
  /** How workers that this process starts prove themselves; null where nobody must. */
  readonly localTokenFile: string | null;
  stop(): Promise<void>;
}

/**
 * Starts what listens; `ownWorkers`: this process will start workers, which speak no TLS. Throws `ListenError`, `SecretFileError`.
 */
export async function startServers(
  opened: OpenContext,
  listening: Listening,
  ownWorkers: boolean,
): Promise<Servers> {
  const { context, gateway, metrics } = opened;
  const { listen, requireTokens, insecure, tls: files, healthListen } = listening;
  const tls = files === null ? null : readServerTls(files, context.clock.nowMs());
  const asks = requireTokens || (!insecure && !isLoopback(listen));
  const check = asks ? new TokenCheck(context) : null;
  const local = tls !== null && ownWorkers ? (check ?? new TokenCheck(context)) : null;
  const protoDirectory = path.join(import.meta.dirname, '..', '..', '..', 'proto');
  const server = await startGrpcServer({
    ...{ context, gateway, listen, protoDirectory, limited: !isLoopback(listen) },
    ...(tls === null ? {} : { tls }),
    ...(check === null ? {} : { check }),
    ...(local === null ? {} : { local }),
    ...(metrics === null ? {} : { calls: metrics.metrics.calls }),
  });
  const over = new AbortController();
  const { clock, log } = context;
  const warning = openWarning(listening);
  if (warning !== null) log.warn({ listen: server.address }, warning);
  if (files !== null) void watchServerTls({ files, clock, log, renew: server.renew, over: over.signal });
  let health: HealthServer | null = null;
  let folder: string | null = null;
  const stop = async (): Promise<void> => {
    over.abort();
    // Whoever asks learns that no more calls are taken before the first is refused.
    health?.drain();
    await server.stop();
    await health?.stop();
    if (folder !== null) await rm(folder, { recursive: true, force: true });
  };
  try {
    if (healthListen !== null) health = await startHealthServer(context, healthListen);
    const own = local ?? check;
    if (own !== null) folder = await mkdtemp(path.join(tmpdir(), 'parzen-token-'));
    const localTokenFile = own === null || folder === null ? null : await admitOwnWorkers(own, folder);
    return { server, localTokenFile, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A token for the workers that this process starts, in a file that only its user can read. */
async function admitOwnWorkers(check: TokenCheck, folder: string): Promise<string> {
  const secret = randomBytes(32).toString('base64url');
  check.admit(secret, 'local workers', 'worker');
  const file = path.join(folder, 'token');
  await writeFile(file, secret, { mode: 0o600 });
  return file;
}
