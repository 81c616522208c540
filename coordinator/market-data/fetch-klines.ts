/**
 * Loads candles from Binance's REST interface, page by page. Only bars that have closed are taken: the last one of a
 * live answer is still forming and would change (hermite-model.md §18.10).
 */
import { inspectCandles, type CandleReport } from '../../shared/core/market/inspect-candles.js';
import type { Candles } from '../../shared/core/market/candles.js';
import { CandleTable } from './candle-table.js';
import { requestWithRetry, type HttpContext } from './http-retry.js';
import { MarketDataError } from './kline-error.js';
import { parseKlineCells, type CandleRow } from './kline-row.js';
import { marketDataLimits } from './limits.js';

/** Where Binance serves spot candles; the futures endpoint has the same layout under another address and path. */
export const binanceSpot = { baseUrl: 'https://api.binance.com', path: '/api/v3/klines' } as const;

export interface FetchKlinesOptions extends HttpContext {
  /** As the exchange writes it, e.g. `BTCUSDT`. */
  readonly symbol: string;
  /** As the exchange writes it, e.g. `1h`. */
  readonly interval: string;
  /** First open time, UTC milliseconds, included. */
  readonly from: number;
  /** End of the open times, UTC milliseconds, excluded. */
  readonly to: number;
  readonly baseUrl: string;
  /** Path of the kline endpoint; that of the spot market when absent. */
  readonly path?: string;
  /** Bars that have not closed by then are left out, UTC milliseconds. */
  readonly nowMs: number;
  /** Called after every page with the number of rows so far and the open time of the last. */
  readonly progress?: (rows: number, lastOpenTimeMs: number) => void;
}

export interface FetchedKlines {
  readonly candles: Candles;
  readonly report: CandleReport;
}

/**
 * All closed bars with `from` ≤ open time < `to`, oldest first. Rejects with `MarketDataError` for refusals, answers that
 * are not klines and an exchange that cannot be reached after all retries; with the signal's reason when aborted.
 */
export async function fetchKlines(options: FetchKlinesOptions): Promise<FetchedKlines> {
  checkOptions(options);
  const table = new CandleTable();
  let startTime = options.from;
  // Every page moves startTime on by at least one bar, so the bound is that of the rows.
  while (startTime < options.to && table.size < marketDataLimits.rowsMax) {
    const page = await fetchPage(options, startTime);
    for (const row of page.filter((candidate) => candidate.closeTimeMs < options.nowMs)) {
      const appended = table.append(row);
      if (appended.kind === 'problem') throw new MarketDataError(`${options.baseUrl}: ${appended.message}`);
    }
    const last = page.at(-1);
    if (last === undefined) break;
    options.progress?.(table.size, last.openTimeMs);
    if (page.length < marketDataLimits.pageRows) break;
    startTime = last.openTimeMs + 1;
  }
  if (table.size === 0)
    throw new MarketDataError(
      `${options.baseUrl} has no closed bars of ${options.symbol} ${options.interval} between ` +
        `${isoTime(options.from)} and ${isoTime(options.to)}; choose an earlier or longer period`,
    );
  const candles = table.finish();
  return { candles, report: inspectCandles(candles) };
}

function checkOptions(options: FetchKlinesOptions): void {
  if (!/^[A-Z0-9_.-]{1,40}$/.test(options.symbol))
    throw new MarketDataError(
      `symbol ${JSON.stringify(options.symbol)}: expected capital letters and digits, such as BTCUSDT`,
    );
  if (!/^\d{1,2}[smhdwM]$/.test(options.interval))
    throw new MarketDataError(
      `interval ${JSON.stringify(options.interval)}: expected one such as 1m, 1h or 1d`,
    );
  if (!Number.isSafeInteger(options.from) || !Number.isSafeInteger(options.to) || options.from >= options.to)
    throw new MarketDataError(
      `period from ${isoTime(options.from)} to ${isoTime(options.to)}: the start must lie before the end`,
    );
}

async function fetchPage(options: FetchKlinesOptions, startTime: number): Promise<CandleRow[]> {
  const url = new URL(options.path ?? binanceSpot.path, options.baseUrl);
  url.search = new URLSearchParams({
    symbol: options.symbol,
    interval: options.interval,
    startTime: String(startTime),
    endTime: String(options.to - 1),
    limit: String(marketDataLimits.pageRows),
  }).toString();
  const rows = parsePage(await requestWithRetry(url, options), url);
  const outside = rows.find((row) => row.openTimeMs < startTime || row.openTimeMs >= options.to);
  if (outside !== undefined)
    throw new MarketDataError(
      `${url.host} answered with a bar at ${isoTime(outside.openTimeMs)}, outside the period asked for`,
    );
  return rows;
}

function parsePage(body: string, url: URL): CandleRow[] {
  const page = parseJson(body, url);
  if (!Array.isArray(page))
    throw new MarketDataError(`${url.host} did not answer with a list of klines: ${body.slice(0, 200)}`);
  return page.map((row: unknown, index) => {
    const cells = Array.isArray(row) ? row.map((cell: unknown) => (isPlain(cell) ? String(cell) : '')) : [];
    const parsed = parseKlineCells(cells);
    if (parsed.kind === 'row') return parsed.row;
    const { column, message } = parsed.problem;
    const where = column === null ? '' : `, column ${column}`;
    throw new MarketDataError(`${url.host}, row ${index + 1} of the answer${where}: ${message}`);
  });
}

function parseJson(body: string, url: URL): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    // The only thing JSON.parse throws.
    if (!(error instanceof SyntaxError)) throw error;
    throw new MarketDataError(`${url.host} did not answer in JSON: ${body.slice(0, 200)}`, { cause: error });
  }
}

const isPlain = (cell: unknown): cell is string | number =>
  typeof cell === 'string' || typeof cell === 'number';

const isoTime = (timeMs: number): string =>
  Math.abs(timeMs) <= 8.64e15 ? new Date(timeMs).toISOString() : String(timeMs);
