import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { candleCount } from '../../shared/core/market/candles.js';
import { datasetOf } from './dataset.js';
import { importKlines } from './import-klines.js';
import { MarketDataError } from './kline-error.js';

const realFile = path.resolve(import.meta.dirname, '../../../shared/data/BTCUSDT-1h.csv.gz');
const hour = 3_600_000;
const start = Date.UTC(2024, 0, 1);

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'parzen-import-'));
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** Cells of the hourly bar `index`; times in milliseconds, or microseconds with `unit` 1000. */
function cellsOf(index: number, unit = 1): string[] {
  const open = start + index * hour;
  const close = unit === 1 ? open + hour - 1 : (open + hour) * 1000 - 1;
  const amounts = [
    `${100 + index}.5`,
    `${103 + index}.25`,
    `${99 + index}.125`,
    `${101 + index}`,
    `${index + 7}.5`,
  ];
  return [String(open * unit), ...amounts, String(close), '1000.5', '42', '3.25', '500.25', '0'];
}
const lineOf = (index: number, unit = 1): string => cellsOf(index, unit).join(',');
const linesOf = (count: number): string[] => Array.from({ length: count }, (_, index) => lineOf(index));

let files = 0;
async function fileOf(content: string | Uint8Array, name = `klines-${files++}.csv`): Promise<string> {
  const file = path.join(directory, name);
  await writeFile(file, content);
  return file;
}
const importText = async (content: string | Uint8Array): ReturnType<typeof importKlines> =>
  importKlines(await fileOf(content));

/** The error of an import, which must be one for people, with the file's path cut off its front. */
async function problemOf(content: string | Uint8Array): Promise<string> {
  const file = await fileOf(content);
  const error: unknown = await importKlines(file).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(MarketDataError);
  const message = error instanceof Error ? error.message : '';
  expect(message.startsWith(file)).toBe(true);
  return message.slice(file.length);
}

/** The error for three good rows of which the second has one cell replaced. */
function problemWith(column: number, text: string): Promise<string> {
  const rows = [cellsOf(0), cellsOf(1), cellsOf(2)];
  rows[1]![column - 1] = text;
  return problemOf(rows.map((cells) => cells.join(',')).join('\n'));
}

describe('importKlines', () => {
  it('reads every column of a plain file', async () => {
    const { candles, report, duplicatesDropped } = await importText(linesOf(3).join('\n') + '\n');
    expect(Object.fromEntries(Object.entries(candles).map(([name, column]) => [name, [...column]]))).toEqual({
      openTimeMs: [start, start + hour, start + 2 * hour],
      open: [100.5, 101.5, 102.5],
      high: [103.25, 104.25, 105.25],
      low: [99.125, 100.125, 101.125],
      close: [101, 102, 103],
      volume: [7.5, 8.5, 9.5],
      closeTimeMs: [start + hour - 1, start + 2 * hour - 1, start + 3 * hour - 1],
      quoteVolume: [1000.5, 1000.5, 1000.5],
      tradeCount: [42, 42, 42],
      takerBuyBase: [3.25, 3.25, 3.25],
      takerBuyQuote: [500.25, 500.25, 500.25],
    });
    expect(report).toMatchObject({ rows: 3, intervalMs: hour, gaps: [], missingBars: 0 });
    expect(duplicatesDropped).toBe(0);
  });

  it('reads the same candles whatever the packing, line ends, headers and time unit', async () => {
    const lines = linesOf(50);
    const header = 'open_time,open,high,low,close,volume,close_time,quote_volume,count,a,b,ignore';
    const mixedUnits = lines.map((line, index) => (index % 2 === 0 ? line : lineOf(index, 1000)));
    const variants = [
      lines.join('\n'),
      `${lines.join('\r\n')}\r\n\r\n`,
      gzipSync(lines.join('\n')),
      Buffer.concat([gzipSync(`${lines.slice(0, 20).join('\n')}\n`), gzipSync(lines.slice(20).join('\n'))]),
      `\uFEFF${lines.join('\n')}`,
      `\uFEFF${header}\n${lines.join('\n')}`,
      [header, ...lines.slice(0, 25), header, ...lines.slice(25)].join('\n'),
      ['Open Time', ...header.split(',').slice(1)].join(',') + `\n${lines.join('\n')}`,
      lines.map((_, index) => lineOf(index, 1000)).join('\n'),
      mixedUnits.join('\n'),
    ];
    const hashes = new Set<string>();
    for (const variant of variants)
      hashes.add(datasetOf((await importText(variant)).candles, 'x', 0).record.hash);
    expect(hashes.size).toBe(1);
  });

  it('grows past its first allocation', async () => {
    const { candles } = await importText(linesOf(10_000).join('\n'));
    expect(candleCount(candles)).toBe(10_000);
    expect(candles.openTimeMs[9999]).toBe(start + 9999 * hour);
    expect(candles.open[9999]).toBe(10_099.5);
  });

  it('reports gaps and early closes', async () => {
    const rows = [0, 1, 2, 5, 6].map((index) => cellsOf(index));
    rows[4]![6] = String(start + 6 * hour + 1000);
    const { report } = await importText(rows.map((cells) => cells.join(',')).join('\n'));
    expect(report.gaps).toEqual([{ fromMs: start + 3 * hour, toMs: start + 4 * hour, bars: 2 }]);
    expect(report.earlyCloseTimesMs).toEqual([start + 6 * hour]);
  });

  it('drops rows repeated with equal figures, next to each other or in overlapping files', async () => {
    const lines = linesOf(6);
    const twice = await importText(lines.flatMap((line) => [line, line]).join('\n'));
    expect([candleCount(twice.candles), twice.duplicatesDropped]).toEqual([6, 6]);
    const overlapping = await importText([...lines.slice(0, 4), ...lines.slice(2)].join('\n'));
    expect([candleCount(overlapping.candles), overlapping.duplicatesDropped]).toEqual([6, 2]);
  });

  it('refuses a repeated time with other figures, and rows out of order', async () => {
    const other = cellsOf(1);
    other[4] = '102.5';
    expect(await problemOf([...linesOf(3), other.join(',')].join('\n'))).toBe(
      `, line 4, column 1: open time ${start + hour} occurs twice with different figures ` +
        '(close 102.5 here, 102 before); keep one row',
    );
    expect(await problemOf([lineOf(5), lineOf(4)].join('\n'))).toBe(
      `, line 2, column 1: open time ${start + 4 * hour} comes after ${start + 5 * hour}; ` +
        'sort the rows by time, oldest first',
    );
  });

  it('names line and column of a bad cell, and what would be right', async () => {
    expect(await problemWith(5, 'abc')).toBe(
      ', line 2, column 5: close is "abc", which is not a number; write a decimal number',
    );
    expect(await problemWith(2, 'NaN')).toContain('column 2: open is "NaN", which is not a number');
    expect(await problemWith(2, '')).toContain('column 2: open is empty');
    expect(await problemWith(6, '0x10')).toContain('column 6: volume is "0x10", which is not a number');
    expect(await problemWith(6, '1e999')).toContain('column 6: volume "1e999" is too large');
    expect(await problemWith(4, '-5')).toContain('column 4: low is -5; a price is above 0');
    expect(await problemWith(4, '0')).toContain('column 4: low is 0; a price is above 0');
    expect(await problemWith(6, '-0.1')).toContain('column 6: volume is -0.1; it cannot be negative');
    expect(await problemWith(3, '99')).toContain('column 3: high 99 is below low 100.125');
    expect(await problemWith(2, '104.5')).toContain('column 2: open 104.5 is above high 104.25');
    expect(await problemWith(5, '100')).toContain('column 5: close 100 is below low 100.125');
    expect(await problemWith(9, '1.5')).toContain(
      'column 9: number of trades is 1.5; expected a whole number',
    );
    expect(await problemWith(1, '1704067200')).toContain(
      'column 1: open time is 1704067200 (it looks like seconds)',
    );
    expect(await problemWith(1, '1704067200000000000')).toContain('(too large)');
    expect(await problemWith(1, '1704067200000.5')).toContain('expected UTC milliseconds or microseconds');
    expect(await problemWith(7, String(start))).toContain('column 7: close time');
    expect((await problemWith(5, 'x'.repeat(3000))).length).toBeLessThan(150);
  });

  it('says how many columns there should be', async () => {
    expect(await problemOf(`${lineOf(0)}\n1,2,3\n`)).toMatch(/, line 2: expected 12 columns .* found 3$/);
    expect(await problemOf(lineOf(0).replaceAll(',', ';'))).toContain(
      'is separated by ";"; export it with commas',
    );
    expect(await problemOf(`time,o,h,l,c,v,t,q,n,a,b,i\n${lineOf(0)}`)).toContain(
      'a header line must begin with the titles open time, open, high, low, close, volume, close time',
    );
  });

  it('gives one clear error for what is not a kline file', async () => {
    expect(await problemOf('')).toContain('holds no candles');
    expect(await problemOf('\n\n  \n')).toContain('holds no candles');
    expect(await problemOf(gzipSync(''))).toContain('holds no candles');
    expect(await problemOf('x'.repeat(100_000))).toContain('line 1: longer than 4096 characters');
    expect(await problemOf(Buffer.from('PK\u0003\u0004abc'))).toContain('is a zip archive');
    expect(await problemOf(new Uint8Array([1, 2, 0, 3]))).toContain('is a binary file');
    await expect(importKlines(directory)).rejects.toThrow('is a directory; name the CSV file in it');
    await expect(importKlines(path.join(directory, 'missing.csv'))).rejects.toThrow(
      'no such file; check the path',
    );
    await expect(importKlines(path.join(await fileOf('x'), 'y.csv'))).rejects.toThrow('not a directory');
  });

  it('notices a gz file that is cut off or damaged', async () => {
    const packed = gzipSync(linesOf(500).join('\n'));
    expect(await problemOf(packed.subarray(0, packed.length - 20))).toContain('is cut off');
    expect(await problemOf(packed.subarray(0, 15))).toContain('is cut off');
    const damaged = Buffer.from(packed);
    damaged.fill(0xff, 200, 260);
    expect(await problemOf(damaged)).toContain('is a damaged .gz file');
  });

  it('ends with the reason of an abort', async () => {
    const file = await fileOf(linesOf(20).join('\n'));
    await expect(importKlines(file, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
  });

  it('never fails in any other way, whatever is changed in a good file', async () => {
    const good = linesOf(4).join('\n');
    await fc.assert(
      fc.asyncProperty(
        fc.nat(good.length),
        fc.nat(30),
        fc.oneof(fc.string(), fc.constantFrom(',', '\n', '-', 'e9', 'NaN', '\r\n', '')),
        async (from, length, text) => {
          const content = good.slice(0, from) + text + good.slice(from + length);
          const error: unknown = await importText(content).then(
            () => null,
            (reason: unknown) => reason,
          );
          if (error !== null) expect(error).toBeInstanceOf(MarketDataError);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe.skipIf(!existsSync(realFile))(
  'importKlines on the real file (skipped when ../shared/data/BTCUSDT-1h.csv.gz is not there)',
  () => {
    it('finds the rows, gaps and oddities that its description lists', async () => {
      const { candles, report, duplicatesDropped } = await importKlines(realFile);
      expect(candleCount(candles)).toBe(48_132);
      expect(duplicatesDropped).toBe(0);
      expect(report.intervalMs).toBe(hour);
      expect(report.firstTimeMs).toBe(Date.UTC(2019, 0, 1));
      expect(report.lastTimeMs).toBe(Date.UTC(2024, 5, 30, 23));
      expect(report.gaps).toHaveLength(20);
      expect(report.missingBars).toBe(60);
      expect(report.gaps[0]).toEqual({
        fromMs: Date.UTC(2019, 2, 12, 2),
        toMs: Date.UTC(2019, 2, 12, 7),
        bars: 6,
      });
      expect(report.earlyCloseTimesMs).toHaveLength(9);
      expect(report.earlyCloseTimesMs[0]).toBe(Date.UTC(2019, 5, 7, 21));
      expect(report.zeroVolumeTimesMs).toEqual([
        Date.UTC(2019, 5, 7, 21),
        Date.UTC(2021, 1, 11, 3),
        Date.UTC(2023, 2, 24, 12),
      ]);
      expect([report.duplicateTimesMs, report.disorderedTimesMs, report.irregularTimesMs]).toEqual([
        [],
        [],
        [],
      ]);
      expect(Math.min(...candles.low)).toBe(3349.92);
      expect(Math.max(...candles.high)).toBe(73_777);
    });
  },
);
