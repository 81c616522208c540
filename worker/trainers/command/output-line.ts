/** What one line of a program's standard output says (docs/guides/command-trainer.md). */
import type { FailureReason, Metrics } from '../../../shared/core/study/trial.js';
import { metricsMax, nameLengthMax } from '../../../shared/wire/limits.js';

export type OutputLine =
  | { readonly kind: 'report'; readonly step: number; readonly metrics: Metrics }
  | { readonly kind: 'done'; readonly metrics: Metrics; readonly peakMemoryBytes: number | null }
  | { readonly kind: 'failed'; readonly reason: FailureReason; readonly message: string }
  /** A line of the protocol that breaks it; the message says how. */
  | { readonly kind: 'wrong'; readonly message: string }
  | { readonly kind: 'log'; readonly text: string };

/** Largest step that is stored. */
const stepMax = 2 ** 31 - 1;
/** What a program may say about its own failure. */
const failureReasons = ['oom', 'diverged', 'infeasible', 'error'] as const;

const wordNumbers: Readonly<Record<string, number>> = {
  NaN: NaN,
  nan: NaN,
  Infinity: Infinity,
  inf: Infinity,
  '-Infinity': -Infinity,
  '-inf': -Infinity,
};

/**
 * JSON, and beyond it the bare NaN, Infinity and -Infinity that Python's `json.dumps` writes. Undefined when the text is
 * neither.
 */
function parseLenient(text: string): unknown {
  const quoted = text.replaceAll(/"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g, (token) =>
    token.startsWith('"') ? token : `"${token}"`,
  );
  for (const candidate of text === quoted ? [text] : [text, quoted]) {
    try {
      return JSON.parse(candidate);
    } catch {
      // Not JSON in this reading.
    }
  }
  return undefined;
}

type JsonObject = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

class WrongLine extends Error {}

function metricOf(name: string, value: unknown): number {
  if (name === '' || name.length > nameLengthMax || /\p{Cc}/u.test(name))
    throw new WrongLine(`a metric's name must have 1 to ${nameLengthMax} printable characters`);
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return Number(value);
  const word =
    typeof value === 'string' && Object.hasOwn(wordNumbers, value) ? wordNumbers[value] : undefined;
  if (word !== undefined) return word;
  // JSON has no NaN; null is what JavaScript and others write for it.
  if (value === null) return NaN;
  throw new WrongLine(
    `metric '${name}' is ${JSON.stringify(value)}, not a number (the others are spelled "NaN", "Infinity", "-Infinity")`,
  );
}

function metricsOf(record: JsonObject): Metrics {
  const entries = Object.entries(record);
  if (entries.length > metricsMax) throw new WrongLine(`${entries.length} metrics; at most ${metricsMax}`);
  return Object.fromEntries(entries.map(([name, value]) => [name, metricOf(name, value)]));
}

function doneOf({ done, peak_memory_bytes: peak, ...others }: JsonObject): OutputLine {
  if (!isObject(done))
    throw new WrongLine('"done" must be an object of metrics, for example {"done":{"auc":0.55}}');
  const [other] = Object.keys(others);
  if (other !== undefined) throw new WrongLine(`'${other}' beside "done"; metrics belong inside it`);
  if (peak !== undefined && !(typeof peak === 'number' && Number.isSafeInteger(peak) && peak >= 0))
    throw new WrongLine('"peak_memory_bytes" must be a whole number of bytes');
  return { kind: 'done', metrics: metricsOf(done), peakMemoryBytes: typeof peak === 'number' ? peak : null };
}

function failedOf({ failed, message = '' }: JsonObject): OutputLine {
  const reason = failureReasons.find((known) => known === failed);
  if (reason === undefined) throw new WrongLine(`"failed" must be one of ${failureReasons.join(', ')}`);
  if (typeof message !== 'string') throw new WrongLine('"message" must be a text');
  return { kind: 'failed', reason, message: message === '' ? `the program says: ${reason}` : message };
}

function reportOf({ step, ...metrics }: JsonObject): OutputLine {
  if (!(typeof step === 'number' && Number.isInteger(step) && step >= 0 && step <= stepMax))
    throw new WrongLine(`"step" is ${JSON.stringify(step)}, not a whole number from 0 to ${stepMax}`);
  return { kind: 'report', step, metrics: metricsOf(metrics) };
}

/** Reads one line without its end. Everything that is not a JSON object with `step`, `done` or `failed` is log. */
export function readOutputLine(text: string): OutputLine {
  const log: OutputLine = { kind: 'log', text };
  if (!/^\s*\{/.test(text)) return log;
  const value = parseLenient(text);
  if (!isObject(value)) return log;
  try {
    if ('done' in value) return doneOf(value);
    if ('failed' in value) return failedOf(value);
    return 'step' in value ? reportOf(value) : log;
  } catch (error) {
    if (error instanceof WrongLine) return { kind: 'wrong', message: error.message };
    throw error;
  }
}
