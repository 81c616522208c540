/** `coordinator start` as a command line: its options, grouped, and the signals that end it. */
import { Option, type Command } from 'commander';
import { createLog, logLevels, type Log, type LogLevel } from '../../shared/platform/log.js';
import { pairedFiles, type ServerTlsFiles } from '../../shared/platform/tls.js';
import { defaults } from '../config.js';
import { CommandError } from './command-error.js';
import type { Listening } from './listening.js';
import { autoOrNumber, hostPort, trialBudget, wholeNumber } from './option-values.js';
import { start } from './start.js';
import { StatusLine } from './status-line.js';

interface StartFlags {
  readonly study?: string;
  readonly trials?: number;
  readonly data?: string;
  readonly waitForData: boolean;
  readonly storage: string;
  readonly waitForStorage: number;
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
  readonly traces?: string;
  readonly metricsTlsCert?: string;
  readonly metricsTlsKey?: string;
  readonly workers: number | 'auto';
  readonly runtime: string;
  readonly out: string;
  readonly log: LogLevel;
  readonly logFormat: 'json' | 'text';
}

export function addStartCommand(program: Command, version: string): void {
  const command = program
    .command('start')
    .description('create or resume a study and serve it; with --workers run it to its end')
    .action((flags: StartFlags) => runStart(flags, version));
  const groups = [studyOptions, listeningOptions, watchingOptions, workOptions, logOptions];
  for (const option of groups.flatMap((options) => options())) command.addOption(option);
}

const studyOptions = (): readonly Option[] => [
  new Option('--study <name|file>', 'study to run (default: serve every running study of the store)').env(
    'PARZEN_STUDY',
  ),

  new Option('--trials <n>', "budget instead of the study file's")
    .env('PARZEN_TRIALS')
    .argParser(trialBudget),

  new Option('--data <file|name>', 'market data: a kline file, or a data set of the store').env(
    'PARZEN_DATA',
  ),

  new Option('--wait-for-data', 'when the data set is not stored yet, serve and wait for it')
    .default(false)
    .env('PARZEN_WAIT_FOR_DATA'),

  new Option('--storage <url|dir>', 'postgres://… or a folder for the embedded store')
    .default(defaults.storage)
    .env('PARZEN_STORAGE'),

  new Option('--wait-for-storage <seconds>', 'wait so long for a PostgreSQL server that cannot be reached')
    .default(0)
    .env('PARZEN_WAIT_FOR_STORAGE')
    .argParser(wholeNumber(0, 86_400)),

  new Option(
    '--pg-port <port>',
    "open the embedded store on 127.0.0.1 to Optuna's tools, read-only (default: closed)",
  )
    .env('PARZEN_PG_PORT')
    .argParser(wholeNumber(1, 65_535)),
];

const listeningOptions = (): readonly Option[] => [
  new Option('--listen <host:port>', 'address for workers and tools')
    .default(defaults.listen)
    .env('PARZEN_LISTEN')
    .argParser(hostPort(0)),

  new Option('--insecure', 'allow --listen beyond loopback without TLS and tokens')
    .default(false)
    .env('PARZEN_INSECURE'),

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
];

const watchingOptions = (): readonly Option[] => [
  new Option('--metrics <host:port>', 'serve metrics for Prometheus at this address')
    .env('PARZEN_METRICS')
    .argParser(hostPort(0)),

  new Option('--metrics-tls-cert <file>', "TLS for --metrics (default beyond loopback: --tls-cert's)").env(
    'PARZEN_METRICS_TLS_CERT',
  ),
  new Option('--metrics-tls-key <file>', 'its private key (PEM)').env('PARZEN_METRICS_TLS_KEY'),

  new Option('--traces <url>', 'send traces to this OpenTelemetry collector (OTLP over HTTP)').env(
    'OTEL_EXPORTER_OTLP_ENDPOINT',
  ),

  new Option('--insecure-metrics', 'allow --metrics beyond loopback without TLS and tokens')
    .default(false)
    .env('PARZEN_INSECURE_METRICS'),
];

const workOptions = (): readonly Option[] => [
  new Option('--lease-ttl <seconds>', 'a worker that is not heard of for so long loses its trials')
    .default(defaults.leaseTtlMs / 1_000)
    .env('PARZEN_LEASE_TTL')
    .argParser(wholeNumber(1, 3_600)),

  new Option('--workers <n|auto>', 'local workers; auto: one per core')
    .default(0)
    .env('PARZEN_WORKERS')
    .argParser(autoOrNumber(0, 1_024)),

  new Option('--runtime <name>', 'training runtime of local workers').default('auto').env('PARZEN_RUNTIME'),
  new Option('--out <dir>', 'folder for the results').default(defaults.out).env('PARZEN_OUT'),
];

const logOptions = (): readonly Option[] => [
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

/**
 * Nothing is lost by it: what was acknowledged is in the database, and leases that nobody gave back expire. The embedded store is
 * not left like this: its server would outlive this process.
 */
function endInTime(log: Log, ownWorkers: boolean): void {
  const deadlineMs = defaults.stopDeadlineMs + (ownWorkers ? defaults.workerStopGraceMs : 0);
  setTimeout(() => {
    log.warn(
      { seconds: deadlineMs / 1_000 },
      "the database did not answer in time; ended without it. What it holds is safe; 'coordinator export' writes results",
    );
    process.exit(0);
  }, deadlineMs).unref();
}

async function runStart(flags: StartFlags, version: string): Promise<void> {
  const statusLine = new StatusLine(process.stderr);
  const log = createLog({ level: flags.log, format: flags.logFormat, write: (line) => statusLine.log(line) });
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      // The second signal means now.
      if (stopping.signal.aborted) process.exit(1);
      log.info({ signal }, 'stopping; running trials are given back (again: stop at once)');
      stopping.abort();
      if (flags.storage.includes('://')) endInTime(log, flags.workers !== 0);
    });
  await start({
    study: flags.study ?? null,
    trials: flags.trials ?? null,
    data: flags.data ?? null,
    waitForData: flags.waitForData,
    waitForStorageMs: flags.waitForStorage * 1_000,
    pgPort: flags.pgPort ?? null,
    leaseTtlMs: flags.leaseTtl * 1_000,
    ...{ storage: flags.storage, workers: flags.workers },
    listening: listeningOf(flags),
    watching: {
      ...{ metrics: flags.metrics ?? null, insecureMetrics: flags.insecureMetrics, version },
      tls: pairedFiles({ cert: flags.metricsTlsCert, key: flags.metricsTlsKey }, '--metrics-tls'),
    },
    ...{ traces: flags.traces ?? null, runtime: flags.runtime, out: flags.out, log, statusLine },
    stopping: stopping.signal,
  });
}
