import { Option, type Command } from 'commander';
import { channelOptions, readChannel, type ChannelFlags } from '../../shared/platform/channel-files.js';
import { systemClock } from '../../shared/platform/clock.js';
import { silentLog } from '../../shared/platform/log.js';
import type { StudyGateway } from '../app/study-gateway.js';
import { defaults } from '../config.js';
import { CoordinatorUnreachable, remoteGateway } from '../grpc/remote-gateway.js';
import { holdsStore, openStorage } from '../storage/open-storage.js';
import { openContext } from './open-context.js';
import { hostPort } from './option-values.js';

export interface GatewayOptions extends ChannelFlags {
  readonly coordinator?: string;
  readonly storage?: string;
  readonly json: boolean;
}

/**
 * The options of every command that works on a running coordinator or an open store. Where one of them is on the command
 * line and the other in the environment, the command line wins.
 */
export function gatewayOptions(command: Command): Command {
  const channel = channelOptions.map(([flags, description, env]) => new Option(flags, description).env(env));
  for (const option of channel) command.addOption(option);
  return command
    .addOption(
      new Option('--coordinator <host:port>', `a running coordinator (default: ${defaults.listen})`)
        .env('PARZEN_COORDINATOR')
        .argParser(hostPort(1)),
    )
    .addOption(new Option('--storage <url|dir>', 'open this store directly instead').env('PARZEN_STORAGE'))
    .addOption(new Option('--json', 'print JSON').default(false).env('PARZEN_JSON'))
    .hook('preAction', chooseOne);
}

function chooseOne(command: Command): void {
  const storage = command.getOptionValueSource('storage');
  const coordinator = command.getOptionValueSource('coordinator');
  if (storage === undefined || coordinator === undefined) return;
  if (storage === coordinator)
    command.error(
      storage === 'env'
        ? 'error: PARZEN_COORDINATOR and PARZEN_STORAGE are both set; unset one, or give --coordinator or --storage'
        : 'error: give --coordinator or --storage, not both',
    );
  command.setOptionValue(storage === 'cli' ? 'coordinator' : 'storage', undefined);
}

/**
 * Runs `work` on the store that was named, else on the coordinator that was named, else on the one on loopback; when
 * nobody answers there, on the embedded store of the current folder, if there is one. A store that is not there is made
 * only with `create`, and only where it was named.
 */
export async function withGateway<T>(
  options: GatewayOptions,
  work: (gateway: StudyGateway) => Promise<T>,
  { create = false }: { readonly create?: boolean } = {},
): Promise<T> {
  if (options.storage !== undefined) return onStore(options.storage, create, work);
  const address = options.coordinator ?? defaults.listen;
  const remote = remoteGateway(address, readChannel(options, address, systemClock.nowMs()));
  try {
    return await work(remote);
  } catch (error) {
    const mayFallBack = error instanceof CoordinatorUnreachable && options.coordinator === undefined;
    if (!mayFallBack || !holdsStore(defaults.storage)) throw error;
  } finally {
    remote.close();
  }
  return onStore(defaults.storage, false, work);
}

async function onStore<T>(
  store: string,
  create: boolean,
  work: (gateway: StudyGateway) => Promise<T>,
): Promise<T> {
  const storage = await openStorage(store, { log: silentLog, create });
  try {
    return await work((await openContext(storage, silentLog, { serves: null })).gateway);
  } finally {
    await storage.close();
  }
}
