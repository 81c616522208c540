/**
 * Trials as CSV (RFC 4180: CRLF line ends, fields quoted where needed), with a header line. Numbers have all their digits;
 * NaN and infinities are spelled `NaN`, `Infinity`, `-Infinity`. A text that a spreadsheet would run as a formula
 * gets an apostrophe in front.
 */
import type { ParameterValue } from '../../shared/core/space/parameter.js';
import type { Trial } from '../../shared/core/study/trial.js';
import type { ResultsStudy } from './results-study.js';

/** Lines per piece of text; keeps a large export from being one string. */
const linesPerPiece = 1000;

/**
 * The trials in the given order, in pieces that follow each other. Columns: number, state, reason, one per objective,
 * `metric.*` (all metrics that any trial has, by name), `param.*` (space order, then others), off_grid, attempt,
 * duration_seconds, started_at, finished_at (UTC, ISO 8601), worker, message. Absent values are empty fields.
 */
export function* trialsCsv(study: ResultsStudy, trials: readonly Trial[]): Generator<string> {
  const columns = columnsOf(study, trials);
  let lines = [columns.map(({ title }) => textField(title))];
  for (const trial of trials) {
    lines.push(columns.map(({ field }) => field(trial)));
    if (lines.length < linesPerPiece) continue;
    yield joined(lines);
    lines = [];
  }
  if (lines.length > 0) yield joined(lines);
}

const joined = (lines: readonly (readonly string[])[]): string =>
  lines.map((fields) => `${fields.join(',')}\r\n`).join('');

interface Column {
  readonly title: string;
  readonly field: (trial: Trial) => string;
}

function columnsOf({ definition }: ResultsStudy, trials: readonly Trial[]): Column[] {
  const metricNames = [...new Set(trials.flatMap(({ metrics }) => Object.keys(metrics)))].sort();
  const paramNames = new Set(definition.space.map(({ name }) => name));
  for (const { params } of trials) for (const name of Object.keys(params)) paramNames.add(name);
  return [
    { title: 'number', field: ({ number }) => valueField(number) },
    { title: 'state', field: ({ state }) => textField(state) },
    { title: 'reason', field: ({ reason }) => textField(reason ?? '') },
    ...definition.objectives.map(({ name }, index): Column => {
      return { title: name, field: ({ values }) => valueField(values[index]) };
    }),
    ...metricNames.map((name): Column => {
      return { title: `metric.${name}`, field: ({ metrics }) => valueField(own(metrics, name)) };
    }),
    ...[...paramNames].map((name): Column => {
      return { title: `param.${name}`, field: ({ params }) => valueField(own(params, name)) };
    }),
    { title: 'off_grid', field: ({ offGrid }) => valueField(offGrid) },
    { title: 'attempt', field: ({ attempt }) => valueField(attempt) },
    { title: 'duration_seconds', field: (trial) => valueField(durationSeconds(trial)) },
    { title: 'started_at', field: ({ startedAtMs }) => timeField(startedAtMs) },
    { title: 'finished_at', field: ({ finishedAtMs }) => timeField(finishedAtMs) },
    { title: 'worker', field: ({ worker }) => textField(worker ?? '') },
    { title: 'message', field: ({ message }) => textField(message) },
  ];
}

const own = <T>(record: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined;

const durationSeconds = ({ startedAtMs, finishedAtMs }: Trial): number | undefined =>
  startedAtMs === null || finishedAtMs === null ? undefined : (finishedAtMs - startedAtMs) / 1000;

const timeField = (timeMs: number | null): string => (timeMs === null ? '' : new Date(timeMs).toISOString());

/** A value of ours as a field; undefined is an empty field, null the word. */
function valueField(value: ParameterValue | undefined): string {
  if (value === undefined) return '';
  return typeof value === 'string' ? textField(value) : String(value);
}

/**
 * Foreign text as a field. Spreadsheets run a cell that begins with one of = + - @, tab or carriage return as a formula
 * (OWASP, "CSV injection"); the apostrophe makes it text and stays visible.
 */
export function textField(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
