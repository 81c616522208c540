/** `coordinator data …`: market data in and out of the store. */
import { Option, type Command } from 'commander';
import path from 'node:path';
import { toJson } from '../../shared/core/json.js';
import { makeSyntheticCandles, syntheticMarketLimits } from '../../shared/core/market/synthetic-market.js';
import type { Candles } from '../../shared/core/market/candles.js';
import { describeCandles } from '../../shared/core/market/inspect-candles.js';
import type { SyntheticMarket } from '../../shared/core/study/definition.js';
import type { DatasetView } from '../../shared/core/study/study.js';
import { datasetOf } from '../market-data/dataset.js';
import { fetchKlines } from '../market-data/fetch-klines.js';
import { importKlines } from '../market-data/import-klines.js';
import { dateMs, decimalNumber, wholeNumber } from './option-values.js';
import { minute, print, table } from './print.js';
import { gatewayOptions, withGateway, type GatewayOptions } from './with-gateway.js';

export function addDataCommands(program: Command): void {
  const group = program.command('data').description('import, fetch, list and make market data');
  gatewayOptions(
    group
      .command('import <file>')
      .description('Binance kline CSV, plain or .gz')
      .addOption(nameOption('from the file')),
  ).action(importCommand);
  const fetching = group.command('fetch').description('closed bars from the Binance REST interface');
  for (const option of fetchOptions()) fetching.addOption(option);
  gatewayOptions(fetching).action(fetchCommand);
  gatewayOptions(group.command('list').description('data sets in the store')).action(
    (options: GatewayOptions) =>
      withGateway(options, async (gateway) => {
        const datasets = await gateway.datasets();
        print(options.json ? toJson(datasets) : listText(datasets));
      }),
  );
  const making = group.command('synth').description('make a synthetic market, openly named as such');
  for (const option of synthOptions()) making.addOption(option);
  gatewayOptions(making).action(synthCommand);
}

const nameOption = (otherwise: string): Option =>
  new Option('--name <name>', `name of the data set (default: ${otherwise})`).env('PARZEN_DATA_NAME');

const fetchOptions = (): readonly Option[] => [
  new Option('--symbol <symbol>', 'for example BTCUSDT').makeOptionMandatory().env('PARZEN_DATA_SYMBOL'),
  new Option('--interval <interval>', 'bar length').default('1h').env('PARZEN_DATA_INTERVAL'),

  new Option('--from <date>', 'first open time, UTC, for example 2019-01-01')
    .makeOptionMandatory()
    .env('PARZEN_DATA_FROM')
    .argParser(dateMs),

  new Option('--to <date>', 'end of the open times, UTC, excluded (default: now)')
    .env('PARZEN_DATA_TO')
    .argParser(dateMs),

  new Option('--base-url <url>', 'REST endpoint')
    .default('https://api.binance.com')
    .env('PARZEN_DATA_BASE_URL'),

  nameOption('symbol-interval'),
];

const synthOptions = (): readonly Option[] => {
  const { barsMin, barsMax, volatilityMax, signalMax } = syntheticMarketLimits;
  return [
    new Option('--name <name>', 'name of the data set').default('synthetic').env('PARZEN_DATA_NAME'),
    new Option('--seed <n>', 'seed')
      .default(1)
      .env('PARZEN_DATA_SEED')
      .argParser(wholeNumber(0, 2 ** 32 - 1)),

    new Option('--bars <n>', 'hourly bars')
      .default(10_000)
      .env('PARZEN_DATA_BARS')
      .argParser(wholeNumber(barsMin, barsMax)),

    new Option('--volatility <x>', 'standard deviation of an hourly log return')
      .default(0.005)
      .env('PARZEN_DATA_VOLATILITY')
      .argParser(decimalNumber(0, volatilityMax)),

    new Option('--signal <x>', 'planted correlation of neighbouring returns; 0 = nothing to predict')
      .default(0)
      .env('PARZEN_DATA_SIGNAL')
      .argParser(decimalNumber(-signalMax, signalMax)),
  ];
};

async function importCommand(file: string, options: GatewayOptions & { name?: string }): Promise<void> {
  const { candles, report, duplicatesDropped } = await importKlines(file);
  const dropped = duplicatesDropped === 0 ? [] : [`${duplicatesDropped} repeated rows dropped`];
  await store(candles, options.name ?? nameOfFile(file), options, [...describeCandles(report), ...dropped]);
}

function synthCommand(options: GatewayOptions & SyntheticMarket & { name: string }): Promise<void> {
  const { name, seed, bars, volatility, signal } = options;
  return store(makeSyntheticCandles({ seed, bars, volatility, signal }), name, options, []);
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
  const stored = await withGateway(options, (gateway) => gateway.putDataset(record, bytes), {
    create: true,
  });
  print(options.json ? toJson(stored) : [...notes, `stored ${oneLine(stored)}`].join('\n'));
}

/** `BTCUSDT-1h.csv.gz` → `btcusdt-1h`. */
export const nameOfFile = (file: string): string =>
  path
    .basename(file)
    .replace(/(\.csv)?(\.gz)?$/i, '')
    .toLowerCase();

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
