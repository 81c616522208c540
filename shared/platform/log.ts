import { createHash } from 'node:crypto';
import { pino, type DestinationStream } from 'pino';

/** Fields of a log line; ids of study, trial, lease and worker go here and not into the text. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Standard error is the log; standard output belongs to results. */
export interface Log {
  /** Are lines of `debug` kept? Says whether to work out fields that cost something; not there: they may be. */
  readonly debugs?: boolean;
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

/**
 * A lease as logs name it. Whoever has a lease's token can end its trial, so the token itself is never logged: this is the
 * beginning of its SHA-256, the same in the logs of coordinator and worker.
 */
export const leaseName = (token: string): string =>
  createHash('sha256').update(token).digest('hex').slice(0, 12);

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogOptions {
  readonly level: LogLevel;
  /** `json`: one JSON object a line, for machines. `text`: for people. */
  readonly format: 'json' | 'text';
  /** Where a finished line goes, newline included. */
  readonly write: (line: string) => void;
}

/** A log that drops everything, for tests and short commands. */
export const silentLog: Log = { debugs: false, debug: drop, info: drop, warn: drop, error: drop };
function drop(): void {
  // nothing is kept
}

export function createLog({ level, format, write }: LogOptions): Log {
  const destination: DestinationStream =
    format === 'json'
      ? { write: (line) => write(withoutSecrets(line)) }
      : { write: (line) => write(withoutSecrets(textLine(line))) };
  const logger = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  return {
    debugs: logger.isLevelEnabled('debug'),
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
  };
}

/**
 * The last line of defence: nobody logs a password or a token on purpose, but libraries put what they were given into their
 * errors. Passwords in URLs and connection strings, and access tokens by their form. For all that goes to standard error.
 */
export const withoutSecrets = (text: string): string =>
  text
    .replace(/("\w*password\w*"\s*:\s*)"(?:[^"\\]|\\.)*"/gi, '$1"***"')
    // The same within a text of JSON, where each backslash is two.
    .replace(/(\\"\w*password\w*\\"\s*:\s*)\\"(?:[^"\\]|\\\\(?:\\.|[^"\\]))*\\"/gi, '$1\\"***\\"')
    .replace(/(password=)('(?:[^'\\]|\\.)*'|[^\s&"']+)/gi, '$1***')
    .replace(/:\/\/([^\s/:@"]*):[^\s"]*@/g, '://$1:***@')
    .replace(/\bparzen_(worker|read|admin)_[\w-]{16,}/g, 'parzen_$1_***');

const levelNames: Readonly<Record<string, string>> = { 20: 'debug', 30: 'info', 40: 'warn', 50: 'error' };

/** `12:00:01 warn lease expired study=quick trial=3` */
function textLine(json: string): string {
  const { level, time, msg, err, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const clock = String(time).slice(11, 19);
  const name = levelNames[String(level)] ?? 'info';
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${plain(value)}`);
  const failure = err === undefined ? [] : [`error=${plain((err as { message?: unknown }).message)}`];
  return `${[clock, ...(name === 'info' ? [] : [name]), plain(msg), ...rest, ...failure].join(' ')}\n`;
}

const plain = (value: unknown): string =>
  typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value);
