/** Composition root of the worker: reads arguments and environment, wires the session, handles signals. */
import { Command, CommanderError, Option } from 'commander';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { channelOptions, readChannel, type ChannelFlags } from '../shared/platform/channel-files.js';
import { systemClock } from '../shared/platform/clock.js';
import { checkEnvironment } from '../shared/platform/environment.js';
import {
  createLog,
  logLevels,
  silentLog,
  withoutSecrets,
  type Log,
  type LogLevel,
} from '../shared/platform/log.js';
import { SecretFileError, pairedFiles } from '../shared/platform/tls.js';
import { TracingError, startTracing } from '../shared/platform/tracing.js';
import { defaultChildPath, runSession } from './agent/session.js';
import { defaultCacheDirectory, fallbackCacheDirectory, type WorkerConfig } from './config.js';
import { GpuNotFound, chooseGpu, type ChosenGpu, type GpuChoice } from './gpu/device.js';
import { onItsCard } from './gpu/webgpu-card.js';
import { aheadRoundTripsDefault, drainDefaultMs } from './limits.js';
import { hasNvidiaDriver, listGpus } from './gpu/nvidia-smi.js';
import { MonitorRefused, startMonitor, type MonitorSecurity } from './monitor/serve.js';
import {
  adapterOption,
  address,
  coordinatorAddress,
  drainSeconds,
  gpuChoice,
  memorySize,
  roundTrips,
  runtimeOption,
  trainersOption,
  wholeNumber,
} from './option-values.js';
import { addReproduceCommand } from './reproduce/command.js';
import { ReproduceRefused } from './reproduce/reproduce.js';
import { allowedCommands } from './trainers/command/allowed-commands.js';
import { CommandFileError } from './trainers/command/load-commands.js';
import { adapterVariable } from './trainers/runtime/webgpu/adapter.js';

interface StartOptions extends ChannelFlags {
  readonly coordinator: string;
  readonly study?: string;
  readonly slots: number;
  readonly runtime: string;
  readonly adapter?: string;
  readonly gpu: GpuChoice;
  readonly sharedGpu: boolean;
  readonly memory?: number;
  readonly trainers?: string;
  readonly metrics?: string;
  readonly insecureMetrics: boolean;
  readonly metricsTlsCert?: string;
  readonly metricsTlsKey?: string;
  readonly metricsTokenFile?: string;
  readonly health?: string;
  readonly traces?: string;
  readonly journal?: string;
  readonly drain: number;
  readonly ahead: number;
  readonly exitWithParent: boolean;
  readonly log: LogLevel;
  readonly logFormat: 'json' | 'text';
}

const version = (
  JSON.parse(readFileSync(path.join(import.meta.dirname, '..', '..', 'package.json'), 'utf8')) as {
    version: string;
  }
).version;

/** Runtimes that compute on the CPU whatever GPUs there are. */
const cpuRuntimes = ['wasm', 'tensorflow'];

async function gpuFor({ gpu, runtime, slots, adapter = '' }: StartOptions): Promise<ChosenGpu> {
  const choice: GpuChoice = gpu.kind === 'auto' && cpuRuntimes.includes(runtime) ? { kind: 'none' } : gpu;
  const listing = choice.kind === 'none' ? { kind: 'none' as const, reason: '' } : await listGpus();
  const chosen = chooseGpu(choice, listing, { slots, visible: process.env['CUDA_VISIBLE_DEVICES'] });
  return onItsCard(chosen, listing, { gpu, runtime, adapter });
}

/** Where a driver is, a GPU was meant to be used, and nobody should have to find out from the times that none is. */
function sayNoGpu(log: Log, reason: string, { gpu, runtime }: Pick<StartOptions, 'gpu' | 'runtime'>): void {
  const isMeant = gpu.kind === 'auto' && !cpuRuntimes.includes(runtime) && hasNvidiaDriver();
  if (!isMeant) log.debug({ reason }, 'no GPU');
  else
    log.warn(
      { reason },
      "NVIDIA's driver is here, but no GPU can be used: trials run on the CPU (worker doctor says more; --gpu none is quiet)",
    );
}

const metricsSecurityOf = (options: StartOptions): MonitorSecurity => ({
  insecureMetrics: options.insecureMetrics,
  tls: pairedFiles({ cert: options.metricsTlsCert, key: options.metricsTlsKey }, '--metrics-tls'),
  tokenFile: options.metricsTokenFile ?? null,
});

/** Trainer processes inherit the environment, and read the adapter from it. */
function rememberAdapter(adapter: string | undefined): void {
  if (adapter !== undefined) process.env[adapterVariable] = adapter;
}

async function start(options: StartOptions): Promise<void> {
  rememberAdapter(options.adapter);
  const config: WorkerConfig = Object.freeze({
    coordinator: options.coordinator,
    security: readChannel(options, options.coordinator, systemClock.nowMs()),
    study: options.study ?? null,
    ...{ slots: options.slots, runtime: options.runtime, sharedGpu: options.sharedGpu },
    ...(options.memory === undefined ? {} : { slotMemoryBytes: options.memory }),
    cacheDirectory: defaultCacheDirectory(process.env, os.homedir()),
    fallbackCacheDirectory: fallbackCacheDirectory(process.env, os.tmpdir()),
    ...(options.journal === undefined ? {} : { journal: options.journal }),
    drainMs: options.drain * 1_000,
    aheadRoundTrips: options.ahead,
    exitWithParent: options.exitWithParent,
    logLevel: options.log,
    logFormat: options.logFormat,
  });
  const log = createLog({
    level: config.logLevel,
    format: config.logFormat,
    write: (line) => process.stderr.write(line),
  });
  const commands = allowedCommands(options.trainers, process.env);
  const gpu = await gpuFor(options);
  if (gpu.kind === 'cpu') sayNoGpu(log, gpu.reason, options);
  const monitor = await startMonitor({
    ...{ metrics: options.metrics ?? null, health: options.health ?? null },
    security: metricsSecurityOf(options),
    ...{ version, runtime: config.runtime, slots: config.slots },
    ...{ gpu: gpu.kind === 'gpu' ? gpu.identity : null, clock: systemClock, log },
  });
  const tracing =
    options.traces === undefined ? null : await startTracing('parzen-worker', options.traces, version);
  const stop = stopOnSignals(log, config.drainMs);
  // Whoever started this worker holds the other end of its standard input; when that closes, they are gone.
  if (config.exitWithParent)
    process.stdin
      .on('end', () => process.exit(1))
      .on('error', () => process.exit(1))
      .resume();
  await runSession({
    ...{ config, clock: systemClock, log, random: Math.random, version },
    childPath: defaultChildPath(),
    commands,
    ...(gpu.kind === 'gpu' ? { device: gpu.device } : {}),
    trainerEnvironment: { ...process.env, ...gpu.environment },
    ...(monitor === null ? {} : { metrics: monitor.metrics }),
    ...(tracing === null ? {} : { tracer: tracing }),
    ...stop,
  }).finally(() => Promise.all([monitor?.stop(), tracing?.stop()]));
}

/** The first signal lets running trials go on for a while, the second has them given back now, the third ends it all. */
function stopOnSignals(log: Log, drainMs: number): { stopping: AbortSignal; hurry: AbortSignal } {
  const stopping = new AbortController();
  const hurry = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (hurry.signal.aborted) process.exit(1);
      if (stopping.signal.aborted || drainMs === 0) {
        log.info({ signal }, 'stopping; running trials are given back');
        hurry.abort();
      } else log.info({ signal, drainMs }, 'stopping; running trials may end (again: give them back now)');
      stopping.abort();
    });
  return { stopping: stopping.signal, hurry: hurry.signal };
}

const startCommand = new Command('start');
for (const [flags, description, env] of channelOptions)
  startCommand.addOption(new Option(flags, description).env(env));

/** Options that are switches; any other variable holds the option's value. */
const switches = ['PARZEN_INSECURE_METRICS', 'PARZEN_SHARED_GPU', 'PARZEN_TLS'];

/** The worker was called in a way that it cannot follow. */
class UsageError extends Error {}

const program = new Command('worker')
  .description('Runs the trials that a Parzen coordinator hands out.')
  .version(version)
  .showHelpAfterError('(--help shows the options)')
  .exitOverride();
program.addCommand(startCommand);
startCommand
  .exitOverride()
  .showHelpAfterError('(--help shows the options)')
  .description('register with a coordinator and run trials until stopped')
  .addOption(
    new Option(
      '--coordinator <host:port>',
      'where the coordinator listens; dns:///HOST:PORT takes turns among all addresses of a name',
    )
      .default('127.0.0.1:50051')
      .env('PARZEN_COORDINATOR')
      .argParser(coordinatorAddress),
  )
  .addOption(new Option('--study <name>', 'work only for this study').env('PARZEN_STUDY'))
  .addOption(
    new Option('--slots <n>', 'trials at once').default(1).env('PARZEN_SLOTS').argParser(wholeNumber),
  )
  .addOption(runtimeOption())
  .addOption(adapterOption())
  .addOption(
    new Option('--gpu <which>', 'auto, none, an index, or a UUID')
      .default({ kind: 'auto' } satisfies GpuChoice, 'auto')
      .env('PARZEN_GPU')
      .argParser(gpuChoice),
  )
  .addOption(
    new Option('--shared-gpu', "other programs use the GPU too: an out-of-memory may be a neighbour's doing")
      .default(false)
      .env('PARZEN_SHARED_GPU'),
  )
  .addOption(
    new Option('--memory <size>', 'memory one trial may use, e.g. 4G (default: an equal share of all)')
      .env('PARZEN_MEMORY')
      .argParser(memorySize),
  )
  .addOption(trainersOption())
  .addOption(
    new Option('--journal <file>', 'append every acknowledged result to this file, a JSON object a line').env(
      'PARZEN_JOURNAL',
    ),
  )
  .addOption(
    new Option('--drain <seconds>', 'told to stop, running trials may go on for this long')
      .default(drainDefaultMs / 1_000)
      .env('PARZEN_DRAIN')
      .argParser(drainSeconds),
  )
  .addOption(
    new Option('--ahead <n>', 'ask for the next trial while one runs that is shorter than n round trips')
      .default(aheadRoundTripsDefault)
      .env('PARZEN_AHEAD')
      .argParser(roundTrips),
  )
  .addOption(
    new Option('--metrics <host:port>', 'serve metrics for Prometheus at this address')
      .env('PARZEN_METRICS')
      .argParser(address),
  )
  .addOption(
    new Option('--metrics-tls-cert <file>', 'serve metrics over TLS with this certificate chain (PEM)').env(
      'PARZEN_METRICS_TLS_CERT',
    ),
  )
  .addOption(new Option('--metrics-tls-key <file>', 'its private key (PEM)').env('PARZEN_METRICS_TLS_KEY'))
  .addOption(
    new Option('--metrics-token-file <file>', 'file with the token that readers of metrics must send').env(
      'PARZEN_METRICS_TOKEN_FILE',
    ),
  )
  .addOption(
    new Option('--insecure-metrics', 'allow --metrics beyond loopback without TLS and token')
      .default(false)
      .env('PARZEN_INSECURE_METRICS'),
  )
  .addOption(
    new Option('--health <host:port>', 'serve /livez and /readyz alone at this address')
      .env('PARZEN_HEALTH')
      .argParser(address),
  )
  .addOption(
    new Option('--traces <url>', 'send traces to this OpenTelemetry collector (OTLP over HTTP)').env(
      'OTEL_EXPORTER_OTLP_ENDPOINT',
    ),
  )
  .addOption(
    new Option('--log <level>', 'how much to log')
      .choices([...logLevels])
      .default('info')
      .env('PARZEN_LOG'),
  )
  .addOption(
    new Option('--log-format <format>').choices(['text', 'json']).default('text').env('PARZEN_LOG_FORMAT'),
  )
  .addOption(new Option('--exit-with-parent', 'end when standard input closes').default(false).hideHelp())
  .action(start);

interface DoctorFlags {
  readonly golden?: string;
  readonly runtime: string;
  readonly adapter?: string;
  readonly json: boolean;
}

program
  .command('doctor')
  .description('what this machine offers, which runtimes work, and whether they compute what they should')
  .option('--golden <dir>', 'compare with every file of golden figures in this folder')
  .addOption(runtimeOption('runtime for the golden figures'))
  .addOption(adapterOption())
  .option('--json', 'print one JSON object', false)
  .action(async ({ golden, runtime, adapter, json }: DoctorFlags) => {
    rememberAdapter(adapter);
    // Only here: a worker that starts need not read the code of all checks.
    const { runDoctor } = await import('./doctor/run-doctor.js');
    const ok = await runDoctor({
      ...{ version, json, runtime, golden: golden ?? null, log: silentLog },
      cacheDirectory: defaultCacheDirectory(process.env, os.homedir()),
      childPath: defaultChildPath(),
      write: (text) => process.stdout.write(text),
    });
    process.exitCode = ok ? 0 : 1;
  });

addReproduceCommand(program, { rememberAdapter, childPath: defaultChildPath() });

try {
  const { unset, problems } = checkEnvironment(process.env, switches);
  if (problems.length > 0) throw new UsageError(problems.join('\n'));
  for (const name of unset) Reflect.deleteProperty(process.env, name);
  await program.parseAsync();
  // A trainer or a channel that is slow to close must not keep a finished worker alive.
  process.exit();
} catch (error) {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  process.stderr.write(withoutSecrets(`worker: ${error instanceof Error ? error.message : String(error)}\n`));
  const usage = [
    CommandFileError,
    GpuNotFound,
    MonitorRefused,
    ReproduceRefused,
    SecretFileError,
    TracingError,
    UsageError,
  ].some((kind) => error instanceof kind);
  process.exit(usage ? 2 : 1);
}
