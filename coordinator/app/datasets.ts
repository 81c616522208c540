import { createHash } from 'node:crypto';
import type { DatasetHash } from '../../shared/core/ids.js';
import { decodeCandles } from '../../shared/core/market/candle-codec.js';
import type { Candles } from '../../shared/core/market/candles.js';
import { randomSigns } from '../../shared/core/market/random-signs.js';
import { makeSyntheticCandles } from '../../shared/core/market/synthetic-market.js';
import type { StoredData, StudyDefinition } from '../../shared/core/study/definition.js';
import type { DatasetView } from '../../shared/core/study/study.js';
import type { AppContext } from './context.js';
import { AppError } from './errors.js';

/** A study's data set is not stored (yet). */
export class DatasetMissing extends AppError {
  /** Name or hash of the data set. */
  readonly wanted: string;

  constructor(study: string, wanted: string) {
    super(
      'not-found',
      `study '${study}' needs data set '${wanted}', which is not stored; give its file with --data FILE, ` +
        `or import it first: coordinator data import FILE --name ${wanted}`,
    );
    this.wanted = wanted;
  }
}

/** Port: how candle tables become data sets. */
export interface DatasetTools {
  datasetOf(
    candles: Candles,
    name: string,
    nowMs: number,
  ): { readonly record: DatasetView; readonly bytes: Uint8Array };
  keepNewest(candles: Candles, bars: number | null): Candles;
  chunksOf(bytes: Uint8Array): Iterable<Uint8Array>;
}

/**
 * The data set that a study is to be pinned to, stored if it has to be made first: the synthetic market, or the
 * newest bars of a stored one, with random signs if so asked. `named` overrides the study file's data set. Null for a study
 * without data.
 */
export async function requireDataset(
  context: AppContext,
  definition: StudyDefinition,
  named: string | null,
): Promise<DatasetHash | null> {
  const { data } = definition;
  if (data.kind !== 'dataset') {
    if (named !== null)
      throw new AppError(
        'invalid-argument',
        `study '${definition.name}' takes no data set (its data are ${data.kind}); leave out --data`,
      );
    if (data.kind === 'none') return null;
    return (await storeCandles(context, makeSyntheticCandles(data.market), data.name)).hash;
  }
  const wanted = named ?? data.dataset;
  const found = await context.storage.findDataset(wanted);
  if (found === null) throw new DatasetMissing(definition.name, wanted);
  const bars = data.bars ?? found.rows;
  if (bars > found.rows)
    throw new AppError(
      'failed-precondition',
      `study '${definition.name}' wants ${bars} bars; data set '${found.name}' has ${found.rows}`,
    );
  const derived = bars !== found.rows || data.randomSigns !== undefined;
  return derived ? deriveDataset(context, found, { ...data, bars }) : found.hash;
}

/** Stores what a study wants of a stored data set: its newest bars, with random signs if so asked. */
async function deriveDataset(
  context: AppContext,
  found: DatasetView,
  { bars, randomSigns: signs }: StoredData & { readonly bars: number },
): Promise<DatasetHash> {
  const all = decodeCandles(await datasetBytes(context, found.hash));
  const kept = context.datasetTools.keepNewest(all, bars);
  const name = bars === found.rows ? found.name : `${found.name}-last-${bars}`;
  const derived =
    signs === undefined
      ? { candles: kept, name }
      : { candles: signed(kept, signs.seed, name), name: `${name}-random-signs-${signs.seed}` };
  return (await storeCandles(context, derived.candles, derived.name)).hash;
}

function signed(candles: Candles, seed: number, name: string): Candles {
  try {
    return randomSigns(candles, seed);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new AppError('failed-precondition', `data set '${name}', random signs: ${error.message}`);
  }
}

async function storeCandles(context: AppContext, candles: Candles, name: string): Promise<DatasetView> {
  const { record, bytes } = context.datasetTools.datasetOf(candles, name, context.clock.nowMs());
  return storeDataset(context, record, bytes);
}

/** Stores canonical bytes under their hash; storing the same again only renews the name. Throws when the hash is wrong. */
export async function storeDataset(
  context: AppContext,
  dataset: DatasetView,
  bytes: Uint8Array,
): Promise<DatasetView> {
  const actual = createHash('sha256').update(bytes).digest('hex');
  if (actual !== dataset.hash || bytes.length !== dataset.bytes)
    throw new AppError(
      'invalid-argument',
      `data set '${dataset.name}': announced ${dataset.bytes} bytes with hash ${dataset.hash}, ` +
        `received ${bytes.length} with hash ${actual}; send it again`,
    );
  const described = { ...dataset, createdAtMs: context.clock.nowMs() };
  await context.storage.putDataset(described, context.datasetTools.chunksOf(bytes));
  return described;
}

async function datasetBytes(context: AppContext, hash: DatasetHash): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of context.storage.readDataset(hash)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
