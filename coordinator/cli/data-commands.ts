/** `coordinator data …`: market data in and out of the store. */
import { InvalidArgumentError, type Command } from 'commander';
import path from 'node:path';
import { makeSyntheticCandles } from '../../shared/core/market/synthetic-market.js';
import type { Candles } from '../../shared/core/market/candles.js';
import { describeCandles } from '../../shared/core/market/inspect-candles.js';
import type { DatasetView } from '../../shared/core/study/study.js';
import { datasetOf } from '../market-data/dataset.js';
import { fetchKlines } from '../market-data/fetch-klines.js';
import { importKlines } from '../market-data/import-klines.js';
import { minute, print, table, toJson } from './print.js';
import { gatewayOptions, withGateway, type GatewayOptions } from './with-gateway.js';

export function addDataCommands(program: Command): void {
  const group = program.command('data').description('import, fetch, list and make market data');
  gatewayOptions(
    group
      .command('import <file>')
      .description('Binance kline CSV, plain or .gz')
      .option('--name <name>', 'name of the data set (default: from the file)'),
  ).action(async (file: string, options: GatewayOptions & { name?: string }) => {
    const { candles, report, duplicatesDropped } = await importKlines(file);
    const dropped = duplicatesDropped === 0 ? [] : [`${duplicatesDropped} repeated rows dropped`];
    await store(candles, options.name ?? nameOfFile(file), options, [...describeCandles(report), ...dropped]);
  });
  gatewayOptions(
    group
      .command('fetch')
      .description('closed bars from the Binance REST interface')
      .requiredOption('--symbol <symbol>', 'for example BTCUSDT')
      .option('--interval <interval>', 'bar length', '1h')
      .requiredOption('--from <date>', 'first open time, UTC, for example 2019-01-01', dateMs)
      .option('--to <date>', 'end of the open times, UTC, excluded (default: now)', dateMs)
      .option('--base-url <url>', 'REST endpoint', 'https://api.binance.com')
      .option('--name <name>', 'name of the data set (default: symbol-interval)'),
  ).action(fetchCommand);
  gatewayOptions(group.command('list').description('data sets in the store')).action(
    (options: GatewayOptions) =>
      withGateway(options, async (gateway) => {
        const datasets = await gateway.datasets();
        print(options.json ? toJson(datasets) : listText(datasets));
      }),
  );
  gatewayOptions(
    group
      .command('synth')
      .description('make a synthetic market, openly named as such')
      .option('--name <name>', 'name of the data set', 'synthetic')
      .option('--seed <n>', 'seed', Number, 1)
      .option('--bars <n>', 'hourly bars', Number, 10_000)
      .option('--volatility <x>', 'standard deviation of an hourly log return', Number, 0.005)
      .option(
        '--signal <x>',
        'planted correlation of neighbouring returns; 0 = nothing to predict',
        Number,
        0,
      ),
  ).action(
    (
      options: GatewayOptions & {
        name: string;
        seed: number;
        bars: number;
        volatility: number;
        signal: number;
      },
    ) => {
      const { seed, bars, volatility, signal } = options;
      return store(makeSyntheticCandles({ seed, bars, volatility, signal }), options.name, options, []);
    },
  );
}

interface FetchOptions extends GatewayOptions {
  readonly symbol: string;
  readonly interval: string;
  readonly from: number;
  readonly to?: number;
  readonly baseUrl: string;
  readonly name?: string;
}

async function fetchCommand(options: FetchOptions): Promise<void> {
  const { symbol, interval, from, baseUrl } = options;
  const nowMs = Date.now();
  const stopping = new AbortController();
  process.once('SIGINT', () => stopping.abort());
  const { candles, report } = await fetchKlines({
    ...{ symbol, interval, baseUrl, fetch, nowMs },
    from,
    to: options.to ?? nowMs,
    signal: stopping.signal,
  });
  await store(
    candles,
    options.name ?? `${symbol.toLowerCase()}-${interval}`,
    options,
    describeCandles(report),
  );
}

async function store(
  candles: Candles,
  name: string,
  options: GatewayOptions,
  notes: readonly string[],
): Promise<void> {
  const { record, bytes } = datasetOf(candles, name, Date.now());
  const stored = await withGateway(options, (gateway) => gateway.putDataset(record, bytes));
  print(options.json ? toJson(stored) : [...notes, `stored ${oneLine(stored)}`].join('\n'));
}

/** `BTCUSDT-1h.csv.gz` → `btcusdt-1h`. */
export const nameOfFile = (file: string): string =>
  path
    .basename(file)
    .replace(/(\.csv)?(\.gz)?$/i, '')
    .toLowerCase();

function dateMs(text: string): number {
  const ms = Date.parse(
    /[zZ]|[+-]\d\d:?\d\d$/.test(text) ? text : `${text}${text.includes('T') ? 'Z' : 'T00:00Z'}`,
  );
  if (Number.isNaN(ms))
    throw new InvalidArgumentError('Give a date, for example 2019-01-01 or 2019-01-01T12:00.');
  return ms;
}

const oneLine = ({ name, hash, rows, firstTimeMs, lastTimeMs }: DatasetView): string =>
  `${name}: ${rows} bars, ${minute(firstTimeMs)} to ${minute(lastTimeMs)} UTC, sha256 ${hash}`;

function listText(datasets: readonly DatasetView[]): string {
  if (datasets.length === 0) return 'no data sets yet; import one: coordinator data import FILE';
  const rows = datasets.map(({ name, hash, rows: count, firstTimeMs, lastTimeMs }) => [
    name,
    hash.slice(0, 12),
    String(count),
    minute(firstTimeMs),
    minute(lastTimeMs),
  ]);
  return table([['NAME', 'HASH', 'BARS', 'FROM (UTC)', 'TO (UTC)'], ...rows]);
}
