/**
 * One row of Binance's kline layout, from texts to numbers. The CSV import and the REST fetch share it, so that both
 * accept and refuse exactly the same rows.
 */
import type { Candles } from '../../shared/core/market/candles.js';

/** One bar; the fields of `Candles` as single numbers. */
export type CandleRow = Readonly<Record<keyof Candles, number>>;

/** What is wrong with a row. `column` is 1-based; null when it is the row as a whole. */
export interface KlineRowProblem {
  readonly column: number | null;
  readonly message: string;
}

export type ParsedKlineRow =
  | { readonly kind: 'row'; readonly row: CandleRow }
  | { readonly kind: 'problem'; readonly problem: KlineRowProblem };

/** Column titles as Binance documents them; the last is always 0 and never read. */
export const klineColumnTitles = [
  'open time',
  'open',
  'high',
  'low',
  'close',
  'volume',
  'close time',
  'quote asset volume',
  'number of trades',
  'taker buy base volume',
  'taker buy quote volume',
  'ignore',
] as const;

/**
 * Bounds that tell the units of a time apart: 10¹¹ ms is 1973, 10¹⁴ ms is the year 5138, so a present time in seconds
 * (about 1.7·10⁹), milliseconds (1.7·10¹²), microseconds (1.7·10¹⁵) or nanoseconds (1.7·10¹⁸) falls into one band each.
 */
const millisecondsFrom = 1e11;
const microsecondsFrom = 1e14;
const nanosecondsFrom = 1e17;
/** Longest bar that exists (one month), in milliseconds; a close time further away is in another unit. */
const barMsMax = 32 * 86_400_000;

const numberPattern = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

class CellProblem extends Error {
  readonly column: number | null;

  constructor(column: number | null, message: string) {
    super(message);
    this.column = column;
  }
}

/**
 * Parses the cells of one row. Times may be in milliseconds or microseconds, decided per row; they come out in
 * milliseconds (the last microsecond of a bar becomes its last millisecond).
 */
export function parseKlineCells(cells: readonly string[]): ParsedKlineRow {
  try {
    return { kind: 'row', row: readRow(cells) };
  } catch (error) {
    if (!(error instanceof CellProblem)) throw error;
    return { kind: 'problem', problem: { column: error.column, message: error.message } };
  }
}

function readRow(cells: readonly string[]): CandleRow {
  if (cells.length !== klineColumnTitles.length) throw new CellProblem(null, wrongColumnCount(cells));
  const row: CandleRow = {
    openTimeMs: readTime(cells, 1),
    open: readAmount(cells, 2),
    high: readAmount(cells, 3),
    low: readAmount(cells, 4),
    close: readAmount(cells, 5),
    volume: readAmount(cells, 6),
    closeTimeMs: readTime(cells, 7),
    quoteVolume: readAmount(cells, 8),
    tradeCount: readAmount(cells, 9),
    takerBuyBase: readAmount(cells, 10),
    takerBuyQuote: readAmount(cells, 11),
  };
  checkRow(row);
  return row;
}

function wrongColumnCount(cells: readonly string[]): string {
  const wanted = `expected ${klineColumnTitles.length} columns separated by commas (${klineColumnTitles.join(', ')})`;
  const only = cells[0] ?? '';
  const separator = [';', '\t', '|'].find((candidate) => only.includes(candidate));
  if (cells.length === 1 && separator !== undefined)
    return `${wanted}, but the line is separated by ${JSON.stringify(separator)}; export it with commas`;
  return `${wanted}, found ${cells.length}`;
}

function readNumber(cells: readonly string[], column: number): number {
  const text = (cells[column - 1] ?? '').trim();
  if (!numberPattern.test(text)) {
    const found = text === '' ? 'is empty' : `is ${quoted(text)}, which is not a number`;
    throw new CellProblem(column, `${title(column)} ${found}; write a decimal number`);
  }
  const value = Number(text);
  if (!Number.isFinite(value)) throw new CellProblem(column, `${title(column)} ${quoted(text)} is too large`);
  return value;
}

function readTime(cells: readonly string[], column: number): number {
  const value = readNumber(cells, column);
  const wanted = 'expected UTC milliseconds or microseconds since 1970';
  if (!Number.isSafeInteger(value) || value < millisecondsFrom || value >= nanosecondsFrom) {
    const seconds = value >= millisecondsFrom / 1000 && value < millisecondsFrom;
    const unit = seconds ? ' (it looks like seconds)' : value >= nanosecondsFrom ? ' (too large)' : '';
    throw new CellProblem(column, `${title(column)} is ${value}${unit}; ${wanted}`);
  }
  return value < microsecondsFrom ? value : Math.floor(value / 1000);
}

function readAmount(cells: readonly string[], column: number): number {
  const value = readNumber(cells, column);
  const isPrice = column >= 2 && column <= 5;
  if (isPrice && value <= 0)
    throw new CellProblem(column, `${title(column)} is ${value}; a price is above 0`);
  if (value < 0) throw new CellProblem(column, `${title(column)} is ${value}; it cannot be negative`);
  if (column === 9 && !Number.isSafeInteger(value))
    throw new CellProblem(column, `${title(column)} is ${value}; expected a whole number`);
  return value;
}

function checkRow(row: CandleRow): void {
  if (row.high < row.low) throw new CellProblem(3, `high ${row.high} is below low ${row.low}`);
  for (const [column, name] of [
    [2, 'open'],
    [5, 'close'],
  ] as const) {
    if (row[name] > row.high) throw new CellProblem(column, `${name} ${row[name]} is above high ${row.high}`);
    if (row[name] < row.low) throw new CellProblem(column, `${name} ${row[name]} is below low ${row.low}`);
  }
  if (row.closeTimeMs < row.openTimeMs || row.closeTimeMs - row.openTimeMs > barMsMax)
    throw new CellProblem(
      7,
      `close time ${row.closeTimeMs} does not fit open time ${row.openTimeMs} (both in ms); ` +
        'it must lie within a month after it',
    );
}

const title = (column: number): string => klineColumnTitles[column - 1] ?? `column ${column}`;

/** A cell for an error message, cut so that a huge one stays readable. */
const quoted = (text: string): string => JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);

/** Whether cells are a header line rather than data: known titles in the first seven places, however they are written. */
export function isKlineHeader(cells: readonly string[]): boolean {
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[^a-z]/g, '');
  return klineColumnTitles.slice(0, 7).every((wanted, index) => plain(cells[index] ?? '') === plain(wanted));
}
