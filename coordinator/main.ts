/** Composition root of the coordinator: arguments and environment in, commands wired, signals handled. */
import { Command, CommanderError, Option } from 'commander';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { ServerTlsFiles } from '../shared/platform/tls.js';
import { checkEnvironment } from '../shared/platform/environment.js';
import { createLog, logLevels, type LogLevel } from '../shared/platform/log.js';
import { addAnalysisCommands } from './cli/analysis-commands.js';
import { CommandError } from './cli/command-error.js';
import { addDataCommands } from './cli/data-commands.js';
import { explain } from './cli/explain.js';
import { autoOrNumber, hostPort, trialBudget, wholeNumber } from './cli/option-values.js';
import { outliveReader } from './cli/print.js';
import { addResultCommands } from './cli/result-commands.js';
import { StatusLine } from './cli/status-line.js';
import type { Listening } from './cli/listening.js';
import { start } from './cli/start.js';
import { addStudyCommands } from './cli/study-commands.js';
import { addSuggestCommand } from './cli/suggest-command.js';
import { addTokenCommands } from './cli/token-commands.js';
import { defaults } from './config.js';

interface StartFlags {
  readonly study?: string;
  readonly trials?: number;
  readonly data?: string;
  readonly storage: string;
  readonly pgPort?: number;
  readonly listen: string;
  readonly insecure: boolean;
  readonly leaseTtl: number;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsClientCa?: string;
  readonly requireTokens: boolean;
  readonly healthListen?: string;
  readonly metrics?: string;
  readonly insecureMetrics: boolean;
  readonly workers: number | 'auto';
  readonly runtime: string;
  readonly out: string;
  readonly log: LogLevel;
  readonly logFormat: 'json' | 'text';
}

const version = (
  JSON.parse(readFileSync(path.join(import.meta.dirname, '..', '..', 'package.json'), 'utf8')) as {
    version: string;
  }
).version;

function startCommand(program: Command): void {
  const command = program
    .command('start')
    .description('create or resume a study and serve it; with --workers run it to its end')
    .action(runStart);
  for (const option of startOptions()) command.addOption(option);
}

const startOptions = (): readonly Option[] => [
  new Option('--study <name|file>', 'study to run (default: serve every running study of the store)').env(
    'PARZEN_STUDY',
  ),

  new Option('--trials <n>', "budget instead of the study file's")
    .env('PARZEN_TRIALS')
    .argParser(trialBudget),

  new Option('--data <file|name>', 'market data: a kline file, or a data set of the store').env(
    'PARZEN_DATA',
  ),

  new Option('--storage <url|dir>', 'postgres://… or a folder for the embedded store')
    .default(defaults.storage)
    .env('PARZEN_STORAGE'),

  new Option(
    '--pg-port <port>',
    "open the embedded store on 127.0.0.1 to Optuna's tools, read-only (default: closed)",
  )
    .env('PARZEN_PG_PORT')
    .argParser(wholeNumber(1, 65_535)),

  new Option('--listen <host:port>', 'address for workers and tools')
    .default(defaults.listen)
    .env('PARZEN_LISTEN')
    .argParser(hostPort(0)),

  new Option('--insecure', 'allow --listen beyond loopback without TLS and tokens')
    .default(false)
    .env('PARZEN_INSECURE'),

  new Option('--lease-ttl <seconds>', 'a worker that is not heard of for so long loses its trials')
    .default(defaults.leaseTtlMs / 1_000)
    .env('PARZEN_LEASE_TTL')
    .argParser(wholeNumber(1, 3_600)),
  new Option('--tls-cert <file>', 'speak TLS with this certificate chain (PEM)').env('PARZEN_TLS_CERT'),
  new Option('--tls-key <file>', 'its private key (PEM)').env('PARZEN_TLS_KEY'),
  new Option('--tls-client-ca <file>', 'ask clients for certificates of these authorities (PEM)').env(
    'PARZEN_TLS_CLIENT_CA',
  ),

  new Option('--require-tokens', 'ask for tokens on loopback too')
    .default(false)
    .env('PARZEN_REQUIRE_TOKENS'),

  new Option('--health-listen <host:port>', 'plain gRPC health checks for probes, and nothing else')
    .env('PARZEN_HEALTH_LISTEN')
    .argParser(hostPort(0)),

  new Option('--metrics <host:port>', 'serve metrics for Prometheus at this address')
    .env('PARZEN_METRICS')
    .argParser(hostPort(0)),

  new Option('--insecure-metrics', 'allow --metrics beyond loopback')
    .default(false)
    .env('PARZEN_INSECURE_METRICS'),

  new Option('--workers <n|auto>', 'local workers; auto: one per core')
    .default(0)
    .env('PARZEN_WORKERS')
    .argParser(autoOrNumber(0, 1_024)),

  new Option('--runtime <name>', 'training runtime of local workers').default('auto').env('PARZEN_RUNTIME'),
  new Option('--out <dir>', 'folder for the results').default(defaults.out).env('PARZEN_OUT'),

  new Option('--log <level>', 'how much to log')
    .choices([...logLevels])
    .default('info')
    .env('PARZEN_LOG'),

  new Option('--log-format <format>', 'for people or machines')
    .choices(['text', 'json'])
    .default('text')
    .env('PARZEN_LOG_FORMAT'),
];

const listeningOf = (flags: StartFlags): Listening => ({
  listen: flags.listen,
  insecure: flags.insecure,
  requireTokens: flags.requireTokens,
  tls: tlsFilesOf(flags),
  healthListen: flags.healthListen ?? null,
});

function tlsFilesOf({
  tlsCert: cert,
  tlsKey: key,
  tlsClientCa: clientCa,
}: StartFlags): ServerTlsFiles | null {
  if (cert === undefined && key === undefined && clientCa === undefined) return null;
  if (cert === undefined || key === undefined)
    throw new CommandError('TLS needs --tls-cert and --tls-key', 2);
  return { cert, key, ...(clientCa === undefined ? {} : { clientCa }) };
}

async function runStart(flags: StartFlags): Promise<void> {
  const statusLine = new StatusLine(process.stderr);
  const log = createLog({ level: flags.log, format: flags.logFormat, write: (line) => statusLine.log(line) });
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      // The second signal means now.
      if (stopping.signal.aborted) process.exit(1);
      log.info({ signal }, 'stopping; running trials are given back (again: stop at once)');
      stopping.abort();
    });
  await start({
    study: flags.study ?? null,
    trials: flags.trials ?? null,
    data: flags.data ?? null,
    pgPort: flags.pgPort ?? null,
    leaseTtlMs: flags.leaseTtl * 1_000,
    ...{ storage: flags.storage, workers: flags.workers },
    listening: listeningOf(flags),
    watching: { metrics: flags.metrics ?? null, insecureMetrics: flags.insecureMetrics, version },
    ...{ runtime: flags.runtime, out: flags.out, log, statusLine },
    stopping: stopping.signal,
  });
}

const program = new Command('coordinator')
  .description('Distributed hyperparameter studies: exact TPE, durable trials, honest answers.')
  .version(version)
  .showHelpAfterError('(--help shows the options)')
  .exitOverride();
startCommand(program);
addStudyCommands(program);
addResultCommands(program);
addDataCommands(program);
addSuggestCommand(program);
addTokenCommands(program);
addAnalysisCommands(program);

/** Options that are switches; any other variable holds the option's value. */
const switches = [
  'PARZEN_INSECURE',
  'PARZEN_INSECURE_METRICS',
  'PARZEN_JSON',
  'PARZEN_REQUIRE_TOKENS',
  'PARZEN_TLS',
];

/** Commander takes what it finds in the environment, so the environment is put right before. */
function readEnvironment(): void {
  const { unset, problems } = checkEnvironment(process.env, switches);
  if (problems.length > 0) throw new CommandError(problems.join('\n'), 2);
  for (const name of unset) Reflect.deleteProperty(process.env, name);
}

outliveReader(process.stdout);
outliveReader(process.stderr);
try {
  readEnvironment();
  await program.parseAsync();
  process.exitCode = 0;
} catch (error) {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  process.stderr.write(`coordinator: ${explain(error)}\n`);
  process.exit(error instanceof CommandError ? error.exitCode : 1);
}
