/**
 * Health for probes, on a listener of its own without TLS: `live` while this process answers, `ready` while its store
 * does too. A store that is away makes `ready` fail and never `live`, so that its restart restarts nobody else.
 */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import type { AppContext } from '../app/context.js';
import { healthIntervalMs, healthTimeoutMs } from './limits.js';
import { bind, shutDown } from './server.js';

export interface HealthServer {
  readonly address: string;
  /** `ready` fails from here on; `live` does not. */
  drain(): void;
  /** Drains; resolves when the listener is closed. */
  stop(): Promise<void>;
}

/** Starts the health service on `listen`. Throws `ListenError`. */
export async function startHealthServer(
  { storage, clock }: Pick<AppContext, 'storage' | 'clock'>,
  listen: string,
): Promise<HealthServer> {
  const health = new HealthImplementation({ '': 'SERVING', live: 'SERVING', ready: 'NOT_SERVING' });
  const server = new Server({ 'grpc.enable_channelz': 0 });
  health.addToServer(server);
  const address = await bind(server, listen, ServerCredentials.createInsecure(), '--health-listen');
  const stopping = new AbortController();
  /** A name that no study has: one look at an index, through connection, schema and all. */
  const look = (): Promise<boolean> =>
    Promise.race([
      storage.findStudy('').then(
        () => true,
        () => false,
      ),
      clock.sleep(healthTimeoutMs, stopping.signal).then(() => false),
    ]);
  const show = (ready: boolean): void =>
    health.setStatus('ready', ready && !stopping.signal.aborted ? 'SERVING' : 'NOT_SERVING');
  const watch = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      show(await look());
      await clock.sleep(healthIntervalMs, stopping.signal);
    }
  };
  const watching = watch();
  const drain = (): void => {
    stopping.abort();
    show(false);
  };
  return {
    address,
    drain,
    stop: async () => {
      drain();
      await watching;
      await shutDown(server);
    },
  };
}
