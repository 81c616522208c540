import { Option, type Command } from 'commander';
import { existsSync } from 'node:fs';
import { silentLog } from '../../shared/platform/log.js';
import type { StudyGateway } from '../app/study-gateway.js';
import { defaults } from '../config.js';
import { CoordinatorUnreachable, remoteGateway } from '../grpc/remote-gateway.js';
import { openStorage } from '../storage/open-storage.js';
import { openContext } from './open-context.js';

export interface GatewayOptions {
  readonly coordinator?: string;
  readonly storage?: string;
  readonly json: boolean;
}

/** The options of every command that works on a running coordinator or an open store. */
export function gatewayOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--coordinator <host:port>', `a running coordinator (default: ${defaults.listen})`).env(
        'PARZEN_COORDINATOR',
      ),
    )
    .addOption(
      new Option('--storage <url|dir>', 'open this store directly instead')
        .env('PARZEN_STORAGE')
        .conflicts('coordinator'),
    )
    .option('--json', 'print JSON', false);
}

/**
 * Runs `work` on the store that was named, else on the coordinator that was named, else on the one on loopback; when
 * nobody answers there, on the embedded store of the current folder, if there is one.
 */
export async function withGateway<T>(
  options: GatewayOptions,
  work: (gateway: StudyGateway) => Promise<T>,
): Promise<T> {
  if (options.storage !== undefined) return onStore(options.storage, work);
  const remote = remoteGateway(options.coordinator ?? defaults.listen);
  try {
    return await work(remote);
  } catch (error) {
    const mayFallBack = error instanceof CoordinatorUnreachable && options.coordinator === undefined;
    if (!mayFallBack || !existsSync(defaults.storage)) throw error;
  } finally {
    remote.close();
  }
  return onStore(defaults.storage, work);
}

async function onStore<T>(store: string, work: (gateway: StudyGateway) => Promise<T>): Promise<T> {
  const storage = await openStorage(store, { log: silentLog });
  try {
    return await work(openContext(storage, silentLog, null).gateway);
  } finally {
    await storage.close();
  }
}
