/** `worker reproduce`: trains a study's best trial again, as it was, and says whether it comes out the same. */
import { Option, type Command } from 'commander';
import os from 'node:os';
import { toJson } from '../../shared/core/json.js';
import { channelOptions, readChannel, type ChannelFlags } from '../../shared/platform/channel-files.js';
import { systemClock } from '../../shared/platform/clock.js';
import { createLog, logLevels, type LogLevel } from '../../shared/platform/log.js';
import { grpcTrialCalls } from '../agent/trial-calls.js';
import { defaultCacheDirectory } from '../config.js';
import { adapterOption, coordinatorAddress, runtimeOption, trainersOption } from '../option-values.js';
import { allowedCommands } from '../trainers/command/allowed-commands.js';
import { isSame, reproduce, type Reproduced, type Reproduction } from './reproduce.js';

interface ReproduceFlags extends ChannelFlags {
  readonly coordinator: string;
  readonly runtime: string;
  readonly adapter?: string;
  readonly trainers?: string;
  readonly json: boolean;
  readonly log: LogLevel;
}

export interface ReproduceParts {
  /** Path of the compiled trainer process. */
  readonly childPath: string;
  readonly rememberAdapter: (adapter: string | undefined) => void;
}

export function addReproduceCommand(program: Command, parts: ReproduceParts): void {
  const command = program
    .command('reproduce <file>')
    .description(
      'train the trial of a best_config file again, as it was; exit code 1 where it comes out otherwise',
    )
    .addOption(
      new Option('--coordinator <host:port>', 'who gives the data set when this machine has not kept it')
        .default('127.0.0.1:50051')
        .env('PARZEN_COORDINATOR')
        .argParser(coordinatorAddress),
    )
    .addOption(runtimeOption())
    .addOption(adapterOption())
    .addOption(trainersOption())
    .option('--json', 'print one JSON object', false)
    .addOption(
      new Option('--log <level>', 'how much to log')
        .choices([...logLevels])
        .default('warn')
        .env('PARZEN_LOG'),
    );
  for (const [flags, description, env] of channelOptions)
    command.addOption(new Option(flags, description).env(env));
  command.action(async (file: string, flags: ReproduceFlags) => {
    parts.rememberAdapter(flags.adapter);
    process.exitCode = (await run(file, flags, parts.childPath)) ? 0 : 1;
  });
}

async function run(file: string, flags: ReproduceFlags, childPath: string): Promise<boolean> {
  const log = createLog({
    ...{ level: flags.log, format: 'text' },
    write: (line) => process.stderr.write(line),
  });
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const security = readChannel(flags, flags.coordinator, systemClock.nowMs());
  const calls = grpcTrialCalls(flags.coordinator, security);
  try {
    const reproduction = await reproduce({
      ...{ file, childPath, runtime: flags.runtime, log, signal: stop.signal },
      source: calls,
      cacheDirectory: defaultCacheDirectory(process.env, os.homedir()),
      commands: allowedCommands(flags.trainers, process.env),
    });
    const same = reproduction.metrics.every(isSame);
    process.stdout.write(flags.json ? `${toJson({ same, ...reproduction })}\n` : textOf(reproduction));
    return same;
  } finally {
    calls.close();
  }
}

const figure = (value: number | null): string => (value === null ? '–' : String(value));

function textOf({ study, trial, runtime, metrics }: Reproduction): string {
  const others = metrics.filter((metric) => !isSame(metric));
  const what = `trial ${trial} of study '${study}', on runtime ${runtime}`;
  if (others.length === 0) return `${what}: all ${metrics.length} metrics are the same, bit for bit\n`;
  const widest = Math.max(...others.map(({ name }) => name.length));
  const line = ({ name, stored, again }: Reproduced): string =>
    `  ${name.padEnd(widest)}  ${figure(stored)} then, ${figure(again)} now`;
  return [
    `${what}: ${others.length} of ${metrics.length} metrics are others`,
    ...others.map(line),
    'Bit for bit a trial is the same only on the same runtime, version and kind of processor.',
    '',
  ].join('\n');
}
