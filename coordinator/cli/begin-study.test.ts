import { describe, expect, it } from 'vitest';
import { makeSyntheticCandles } from '../../shared/core/market/synthetic-market.js';
import { testApp } from '../../test/helpers/app.js';
import { storeDataset } from '../app/datasets.js';
import { localGateway } from '../app/study-gateway.js';
import { datasetOf } from '../market-data/dataset.js';
import { createMemoryStorage } from '../storage/memory/create-memory-storage.js';
import { beginStudy } from './begin-study.js';
import { parseStudy } from './parse-study.js';

const text = `name: later
direction: maximize
objective: { auc: 1 }
trials: 3
sampler: { type: random, seed: 1 }
space: { x: { low: 0.0, high: 1.0 } }
trainer: instant
data: { dataset: market, bars: 500 }
`;

/** A coordinator that begins a study whose data set is not there; `onSleep` is called with every wait. */
function waiting(onSleep: (sleeps: number) => unknown) {
  const app = testApp(createMemoryStorage());
  let sleeps = 0;
  const clock = {
    nowMs: () => app.clock.nowMs(),
    sleep: async (ms: number) => {
      app.clock.advance(ms);
      await onSleep((sleeps += 1));
    },
  };
  const context = { ...app.context, clock };
  const told: string[] = [];
  const record = (_: object, message: string): void => void told.push(message);
  const parsed = parseStudy(text);
  if (parsed.kind === 'problems') throw new Error(parsed.text);
  const begin = (waitForData: boolean, stopping = new AbortController().signal) =>
    beginStudy(
      { context, gateway: localGateway(context, parseStudy) },
      { text, definition: parsed.definition },
      {
        ...{ trials: null, data: null, waitForData, stopping },
        log: { debug: record, info: record, warn: record, error: record },
      },
    );
  const importData = async (): Promise<void> => {
    const candles = makeSyntheticCandles({ seed: 1, bars: 600, volatility: 0.01, signal: 0 });
    const { record: dataset, bytes } = datasetOf(candles, 'market', 0);
    await storeDataset(context, dataset, bytes);
  };
  return { begin, context, importData, told };
}

describe('a study whose data are not there yet', () => {
  it('is refused, with what to do', async () => {
    const { begin } = waiting(() => undefined);
    await expect(begin(false)).rejects.toThrow(/needs data set 'market'.*data import FILE --name market/);
  });

  it('begins as soon as they are, where it was told to wait; once a minute it says what for', async () => {
    const { begin, context, importData, told } = waiting((sleeps) =>
      sleeps === 45 ? importData() : undefined,
    );
    expect(await begin(true)).toBe(true);
    expect(await context.storage.findStudy('later')).toMatchObject({ state: 'RUNNING' });
    // 90 seconds.
    expect(told.filter((line) => line.includes("waiting for data: study 'later' needs"))).toHaveLength(2);
  });

  it('ends without a study when it is told to stop', async () => {
    const stop = new AbortController();
    const { begin, context } = waiting((sleeps) => sleeps === 3 && stop.abort());
    expect(await begin(true, stop.signal)).toBe(false);
    expect(await context.storage.findStudy('later')).toBeNull();
  });

  it('fails for any other mistake at once', async () => {
    const { begin, context } = waiting(() => undefined);
    const candles = makeSyntheticCandles({ seed: 1, bars: 400, volatility: 0.01, signal: 0 });
    const { record, bytes } = datasetOf(candles, 'market', 0);
    await storeDataset(context, record, bytes);
    await expect(begin(true)).rejects.toThrow('wants 500 bars');
  });
});
