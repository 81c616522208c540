import { describe, expect, it } from 'vitest';
import { decodeCandles } from '../../shared/core/market/candle-codec.js';
import type { Candles } from '../../shared/core/market/candles.js';
import { randomSigns } from '../../shared/core/market/random-signs.js';
import { makeSyntheticCandles } from '../../shared/core/market/synthetic-market.js';
import type { StoredData } from '../../shared/core/study/definition.js';
import { smallStudy, testApp } from '../../test/helpers/app.js';
import { datasetOf, keepNewest } from '../market-data/dataset.js';
import { createMemoryStorage } from '../storage/memory/create-memory-storage.js';
import { requireDataset, storeDataset } from './datasets.js';

const candles = makeSyntheticCandles({ seed: 1, bars: 300, volatility: 0.01, signal: 0 });

/** The candles a study with these data is pinned to, and the name they are stored under. */
async function pinned(
  data: Partial<StoredData>,
  market: Candles = candles,
): Promise<{ candles: Candles; name: string }> {
  const storage = createMemoryStorage();
  const { context } = testApp(storage);
  const { record, bytes } = datasetOf(market, 'btc', 0);
  await storeDataset(context, record, bytes);
  const definition = smallStudy({ data: { kind: 'dataset', dataset: 'btc', bars: null, ...data } });
  const hash = await requireDataset(context, definition, null);
  const found = hash === null ? null : await storage.findDataset(hash);
  if (hash === null || found === null) throw new Error('no data set');
  const chunks: Uint8Array[] = [];
  for await (const chunk of storage.readDataset(hash)) chunks.push(chunk);
  return { candles: decodeCandles(Buffer.concat(chunks)), name: found.name };
}

describe('requireDataset', () => {
  it('pins what the study wants of a stored data set, under a name that says so', async () => {
    expect(await pinned({})).toEqual({ candles, name: 'btc' });
    expect(await pinned({ bars: 300 })).toEqual({ candles, name: 'btc' });
    const newest = keepNewest(candles, 40);
    expect(await pinned({ bars: 40 })).toEqual({ candles: newest, name: 'btc-last-40' });
    expect(await pinned({ randomSigns: { seed: 5 } })).toEqual({
      candles: randomSigns(candles, 5),
      name: 'btc-random-signs-5',
    });
    expect(await pinned({ bars: 40, randomSigns: { seed: 5 } })).toEqual({
      candles: randomSigns(newest, 5),
      name: 'btc-last-40-random-signs-5',
    });
  });

  it('refuses more bars than there are, and signs where a price is 0', async () => {
    await expect(pinned({ bars: 301 })).rejects.toThrow("wants 301 bars; data set 'btc' has 300");
    const worthless = { ...candles, low: candles.low.with(7, 0) };
    await expect(pinned({ randomSigns: { seed: 1 } }, worthless)).rejects.toThrow(
      "data set 'btc', random signs: row 7: a price is not above 0",
    );
  });
});
