/**
 * Reads a Binance kline CSV: plain or gzip (told by its first bytes, not by its name), with or without header lines,
 * times in milliseconds or microseconds. The file is streamed; memory holds the table and one line.
 */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { pipeline } from 'node:stream/promises';
import type { Readable } from 'node:stream';
import type { Candles } from '../../shared/core/market/candles.js';
import { inspectCandles, type CandleReport } from '../../shared/core/market/inspect-candles.js';
import { CandleTable } from './candle-table.js';
import { MarketDataError } from './kline-error.js';
import { isKlineHeader, klineColumnTitles, parseKlineCells } from './kline-row.js';
import { marketDataLimits } from './limits.js';

export interface ImportOptions {
  readonly signal?: AbortSignal;
}

export interface ImportedKlines {
  readonly candles: Candles;
  readonly report: CandleReport;
  /** Rows left out because the same row, all figures equal, was there already. */
  readonly duplicatesDropped: number;
}

/**
 * Reads the candles of a file. Rejects with `MarketDataError` naming file, line and column and what would be right;
 * nothing is repaired except that rows repeated with equal figures are dropped and counted.
 */
export async function importKlines(path: string, options: ImportOptions = {}): Promise<ImportedKlines> {
  const compression = await detectCompression(path);
  const table = new CandleTable();
  let duplicatesDropped = 0;
  const takeLine = (line: string, lineNumber: number): void => {
    if (takeKline(table, line, { path, lineNumber }) === 'duplicate') duplicatesDropped++;
  };
  try {
    const source = createReadStream(path);
    const sink = (chunks: AsyncIterable<Buffer>): Promise<void> => forEachLine(chunks, path, takeLine);
    const abort = options.signal === undefined ? {} : { signal: options.signal };
    if (compression === 'gzip') await pipeline(source, createGunzip(), sink, abort);
    else await pipeline(source, sink, abort);
  } catch (error) {
    throw describeReadError(error, path);
  }
  if (table.size === 0)
    throw new MarketDataError(`${path}: holds no candles; expected a Binance kline CSV, plain or .gz`);
  const candles = table.finish();
  return { candles, report: inspectCandles(candles), duplicatesDropped };
}

const headerHint = `; a header line must begin with the titles ${klineColumnTitles.slice(0, 7).join(', ')}`;

interface Place {
  readonly path: string;
  readonly lineNumber: number;
}

function takeKline(table: CandleTable, line: string, place: Place): 'appended' | 'duplicate' | 'skipped' {
  if (line.trim() === '') return 'skipped';
  const cells = line.split(',');
  // Not only on the first line: monthly files are often joined with their headers.
  if (isKlineHeader(cells)) return 'skipped';
  const fail = (column: number | null, message: string): never => {
    const where = column === null ? '' : `, column ${column}`;
    throw new MarketDataError(`${place.path}, line ${place.lineNumber}${where}: ${message}`);
  };
  const parsed = parseKlineCells(cells);
  if (parsed.kind === 'problem') {
    const looksLikeHeader = table.size === 0 && /^\s*[a-z]/i.test(line);
    return fail(parsed.problem.column, parsed.problem.message + (looksLikeHeader ? headerHint : ''));
  }
  const appended = table.append(parsed.row);
  if (appended.kind === 'problem') return fail(1, appended.message);
  if (table.size > marketDataLimits.rowsMax)
    return fail(null, `more than ${marketDataLimits.rowsMax} rows; split the file`);
  return appended.kind;
}

/** Calls `take` with every line (without its end, LF or CRLF) and its 1-based number. */
async function forEachLine(
  chunks: AsyncIterable<Buffer>,
  path: string,
  take: (line: string, lineNumber: number) => void,
): Promise<void> {
  let rest = '';
  let lineNumber = 0;
  const emit = (line: string): void => {
    lineNumber++;
    const withoutMark = lineNumber === 1 && line.startsWith('ï»¿') ? line.slice(3) : line;
    take(withoutMark.endsWith('\r') ? withoutMark.slice(0, -1) : withoutMark, lineNumber);
  };
  for await (const chunk of chunks) {
    // Latin-1 keeps one character per byte: a kline file is ASCII, and anything else shows up as a bad number.
    const lines = (rest + chunk.toString('latin1')).split('\n');
    rest = lines.pop() ?? '';
    lines.forEach(emit);
    if (rest.length > marketDataLimits.lineBytesMax)
      throw new MarketDataError(
        `${path}, line ${lineNumber + 1}: longer than ${marketDataLimits.lineBytesMax} characters; ` +
          'this is not a kline CSV',
      );
  }
  if (rest !== '') emit(rest);
}

async function detectCompression(path: string): Promise<'gzip' | 'none'> {
  const head = await readHead(path);
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  if (head[0] === 0x50 && head[1] === 0x4b)
    throw new MarketDataError(`${path}: is a zip archive; unpack it and import the CSV inside`);
  if (head.includes(0))
    throw new MarketDataError(`${path}: is a binary file; expected a Binance kline CSV, plain or .gz`);
  return 'none';
}

async function readHead(path: string): Promise<Buffer> {
  try {
    const stats = await stat(path);
    if (stats.isDirectory()) throw new MarketDataError(`${path}: is a directory; name the CSV file in it`);
    const stream: Readable = createReadStream(path, { start: 0, end: 511 });
    const parts: Buffer[] = [];
    for await (const part of stream) if (Buffer.isBuffer(part)) parts.push(part);
    return Buffer.concat(parts);
  } catch (error) {
    throw describeReadError(error, path);
  }
}

const readErrors: Readonly<Record<string, string>> = {
  ENOENT: 'no such file; check the path',
  ENOTDIR: 'no such file; a part of the path is not a directory',
  EACCES: 'may not be read; check its permissions',
  EPERM: 'may not be read; check its permissions',
  EISDIR: 'is a directory; name the CSV file in it',
  // zlib's code for a stream that ends before its end mark.
  Z_BUF_ERROR: 'ends in the middle: the .gz file is cut off; download it again',
  Z_DATA_ERROR: 'is a damaged .gz file; download it again',
};

/** The error as people should see it; what is not an operating failure stays as it was. */
function describeReadError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error;
  const message = readErrors[error.code];
  return message === undefined ? error : new MarketDataError(`${path}: ${message}`, { cause: error });
}
