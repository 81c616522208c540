/** The commands `compare` and `forecasts` as they are typed, on a running coordinator. */
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { encodeForecasts, forecastLayout, type Forecasts } from '../../shared/core/market/forecast-codec.js';
import { auc as aucOf } from '../../shared/core/metrics/auc.js';
import { smallStudy, testApp } from '../../test/helpers/app.js';
import { commandOutput } from '../../test/helpers/typed-command.js';
import { putArtifact } from '../app/artifacts.js';
import { localGateway } from '../app/study-gateway.js';
import { tell } from '../app/tell.js';
import { startGrpcServer } from '../grpc/server.js';
import { createMemoryStorage } from '../storage/memory/create-memory-storage.js';
import { parseStudy } from './parse-study.js';
import { addCompareCommands } from './compare-commands.js';

const output = (args: readonly string[]): Promise<string> => commandOutput(addCompareCommands, args);

let stop = (): Promise<void> => Promise.resolve();
afterEach(() => stop());

const rows = 80;

/** Rows of which the first `right` are forecast right. */
function forecasts(right: number): Forecasts {
  const y = Array.from({ length: rows }, (_, row) => (row % 2 === 0 ? 0.5 : -0.25));
  const leaning = (value: number, row: number): number =>
    (row < right ? 1 : -1) * Math.sign(value) * (1 + row / 128);
  return {
    ...{ folds: [rows], horizon: 1, secondsPerStep: 3600 },
    anchorTimeMs: Float64Array.from(y, (_, row) => Date.UTC(2024, 0, 1, row)),
    y: Float32Array.from(y),
    score: Float64Array.from(y, leaning),
    probability: Float64Array.from(y, (value, row) => 0.5 + leaning(value, row) / 4),
    mu: Float32Array.from(y, () => 0.5),
    sigma: Float32Array.from(y, () => 2),
  };
}

interface Left {
  readonly table: Forecasts | null;
  /** Null: it diverged, which is worth more than all else. */
  readonly metrics: Readonly<Record<string, number>> | null;
}

/** A coordinator with a study whose trials left these. */
async function served(trials: readonly Left[], trainer = 'instant'): Promise<readonly string[]> {
  const app = testApp(createMemoryStorage());
  const server = await startGrpcServer({
    ...{ context: app.context, gateway: localGateway(app.context, parseStudy), listen: '127.0.0.1:0' },
    protoDirectory: path.resolve(import.meta.dirname, '../../proto'),
  });
  stop = () => server.stop();
  await app.register('w1');
  const { failure } = smallStudy();
  await app.create(smallStudy({ trainer, failure: { ...failure, divergedValue: 9 } }), trials.length + 1);
  for (const { table, metrics } of trials) {
    const asked = await app.ask();
    if (asked.kind !== 'assigned') throw new Error('there is no trial');
    const { token } = asked.assignment;
    if (table !== null) {
      const content = encodeForecasts(table);
      expect(
        await putArtifact(app.context, token, { name: 'forecasts', layout: forecastLayout, content }),
      ).toBe('ok');
    }
    const outcome =
      metrics === null
        ? ({ kind: 'failed', reason: 'diverged', message: '' } as const)
        : ({ kind: 'completed', metrics } as const);
    await tell(app.context, { token, outcome, peakMemoryBytes: null });
  }
  return ['--coordinator', server.address];
}

const result = (auc: number, hits: number) => ({ auc, dir_acc: hits / rows });
const cells = (text: string): string[][] => text.split('\n').map((line) => line.trim().split(/ {2,}/));

describe('compare', () => {
  it('shows by how much the others differ from the best, or from the first that is named', async () => {
    const on = await served([
      { table: forecasts(40), metrics: result(0.5, 40) },
      { table: forecasts(80), metrics: result(1, 80) },
      { table: forecasts(60), metrics: result(0.75, 60) },
    ]);
    const text = await output(['compare', 'small', ...on]);
    const [heading, second, third, ...others] = cells(text);
    expect(heading).toEqual([
      'TRIAL',
      'CANDLES',
      ...['SCORE', 'AUC', 'DIR_ACC', 'BRIER'].flatMap((name) => [`Δ ${name}`, '±', 'P']),
    ]);
    // A quarter of the rows less: McNemar's error of 0 against 20.
    expect(second?.slice(0, 2)).toEqual(['#2', '80']);
    expect(second?.slice(8, 10)).toEqual(['-0.25', '0.0484']);
    expect(third?.[0]).toBe('#0');
    expect(third?.[8]).toBe('-0.5');
    expect(others.flat().join(' ')).toContain('Each less trial #1');
    const named = cells(await output(['compare', 'small', '0', '#2', ...on]));
    expect(named[1]?.slice(0, 2)).toEqual(['#2', '80']);
    expect(named[1]?.[8]).toBe('0.25');
    const json = JSON.parse(await output(['compare', 'small', '0', '2', '--json', ...on])) as unknown;
    expect(json).toMatchObject({
      ...{ study: 'small', first: 0 },
      others: [{ trial: 2, candles: 80, leftOut: 0, figures: { dir_acc: { difference: 0.25 } } }],
    });
    expect(cells(await output(['compare', 'small', '--top', '2', ...on]))[2]).toEqual(['']);
  });

  it('leaves out what the failure policy gave a value', async () => {
    const on = await served([
      { table: forecasts(40), metrics: result(0.5, 40) },
      { table: forecasts(60), metrics: result(0.75, 60) },
      { table: null, metrics: null },
    ]);
    const [, other, ...rest] = cells(await output(['compare', 'small', ...on]));
    expect(other?.[0]).toBe('#0');
    expect(rest.flat().join(' ')).toContain('Each less trial #1');
  });

  it('leaves out of the best what left no forecasts, and says so', async () => {
    const on = await served([
      { table: forecasts(40), metrics: result(0.5, 40) },
      { table: null, metrics: result(1, 80) },
      { table: forecasts(60), metrics: result(0.75, 60) },
    ]);
    const text = await output(['compare', 'small', ...on]);
    expect(cells(text)[1]?.slice(0, 2)).toEqual(['#0', '80']);
    expect(text).toContain('Each less trial #2');
    expect(text).toContain('Left out, since they left no forecasts: #1.');
    const json = JSON.parse(await output(['compare', 'small', '--json', ...on])) as unknown;
    expect(json).toMatchObject({ first: 2, withoutForecasts: [1] });
  });

  it('says what is missing', async () => {
    const on = await served([
      { table: forecasts(40), metrics: result(0.5, 40) },
      { table: null, metrics: result(1, 80) },
    ]);
    const refusal = (...args: string[]) => expect(output(['compare', ...args, ...on])).rejects;
    await refusal('small').toThrow("trial 1 of study 'small' left no forecasts");
    await refusal('small', '0', '1').toThrow("trial 1 of study 'small' left no forecasts");
    await refusal('small', '0', '7').toThrow("study 'small' has no complete trial 7");
    await refusal('small', '0', '0').toThrow('two different trials');
    await refusal('small', '0', '1', '--top', '2').toThrow('--top is for the best');
    await refusal('absent').toThrow("'absent'");
    for (const number of ['x', '#', ' ', '1e0', '0x1', '-1'])
      await refusal('small', '0', number).toThrow(/numbers of trials|unknown option/);
  });

  it('refuses forecasts that a result was not made of', async () => {
    const left = forecasts(60);
    const up = left.y.map((value) => (value > 0 ? 1 : 0));
    const auc = aucOf(left.score, up);
    const on = await served(
      [
        { table: left, metrics: result(auc, 60) },
        { table: left, metrics: result(auc, 61) },
        { table: left, metrics: result(auc, 60) },
      ],
      'hermite',
    );
    expect(cells(await output(['compare', 'small', '0', '2', ...on]))[1]?.slice(0, 4)).toEqual([
      ...['#2', '80', '0', '0'],
    ]);
    await expect(output(['compare', 'small', '0', '1', ...on])).rejects.toThrow('an earlier attempt');
  });
});

describe('forecasts', () => {
  it('prints a line per candle', async () => {
    const table = { ...forecasts(60), folds: [2, rows - 2] };
    const on = await served([{ table, metrics: result(0.75, 60) }]);
    const lines = (await output(['forecasts', 'small', '0', ...on])).trim().split('\n');
    expect(lines).toHaveLength(1 + rows);
    expect(lines.slice(0, 4)).toEqual([
      'fold,anchor_time,y,score,probability,mu,sigma',
      '0,2024-01-01T00:00:00.000Z,0.5,1,0.75,0.5,2',
      '0,2024-01-01T01:00:00.000Z,-0.25,-1.0078125,0.248046875,0.5,2',
      '1,2024-01-01T02:00:00.000Z,0.5,1.015625,0.75390625,0.5,2',
    ]);
    expect(JSON.parse(await output(['forecasts', 'small', '#0', '--json', ...on]))).toMatchObject({
      ...{ folds: [2, rows - 2], horizon: 1, secondsPerStep: 3600, y: [...table.y] },
    });
    await expect(output(['forecasts', 'absent', '1', ...on])).rejects.toThrow("no study 'absent'");
  });

  it('are those of complete trials, and legible', async () => {
    const on = await served([
      { table: forecasts(60), metrics: null },
      { table: { ...forecasts(60), score: forecasts(60).score.with(3, NaN) }, metrics: result(0.5, 40) },
      { table: forecasts(60), metrics: {} },
    ]);
    const refusal = (number: string) => expect(output(['forecasts', 'small', number, ...on])).rejects;
    // Without a usable objective it waits to be tried again.
    await refusal('2').toThrow("study 'small' has no complete trial 2");
    await refusal('3').toThrow("study 'small' has no complete trial 3");
    await refusal('1').toThrow("trial 1 of study 'small': not a table of forecasts: row 3 holds");
  });
});
