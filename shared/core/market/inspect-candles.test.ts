import { describe, expect, it } from 'vitest';
import type { Candles } from './candles.js';
import { describeCandles, inspectCandles } from './inspect-candles.js';

const hour = 3_600_000;
const start = Date.UTC(2024, 0, 1);

/** Hourly candles at the given hours after 2024-01-01, with changes by row. */
function candlesAt(hours: readonly number[], change: (candles: Candles) => void = () => undefined): Candles {
  const ones = (): Float64Array => new Float64Array(hours.length).fill(1);
  const openTimeMs = Float64Array.from(hours, (value) => start + value * hour);
  const candles = {
    openTimeMs,
    open: ones(),
    high: ones(),
    low: ones(),
    close: ones(),
    volume: ones(),
    closeTimeMs: openTimeMs.map((time) => time + hour - 1),
    quoteVolume: ones(),
    tradeCount: ones(),
    takerBuyBase: ones(),
    takerBuyQuote: ones(),
  };
  change(candles);
  return candles;
}

describe('inspectCandles', () => {
  it('finds nothing in a regular table', () => {
    expect(inspectCandles(candlesAt([0, 1, 2, 3]))).toEqual({
      rows: 4,
      intervalMs: hour,
      firstTimeMs: start,
      lastTimeMs: start + 3 * hour,
      gaps: [],
      missingBars: 0,
      duplicateTimesMs: [],
      disorderedTimesMs: [],
      irregularTimesMs: [],
      zeroVolumeTimesMs: [],
      earlyCloseTimesMs: [],
      lateCloseTimesMs: [],
    });
  });

  it('lists each gap by its first and last missing bar', () => {
    const report = inspectCandles(candlesAt([0, 1, 2, 5, 6, 7, 9]));
    expect(report.gaps).toEqual([
      { fromMs: start + 3 * hour, toMs: start + 4 * hour, bars: 2 },
      { fromMs: start + 8 * hour, toMs: start + 8 * hour, bars: 1 },
    ]);
    expect(report.missingBars).toBe(3);
  });

  it('tells repeated, disordered and irregular rows apart', () => {
    const report = inspectCandles(candlesAt([0, 1, 2, 2, 3, 1, 4, 5.5, 6]));
    expect(report.duplicateTimesMs).toEqual([start + 2 * hour]);
    expect(report.disorderedTimesMs).toEqual([start + hour]);
    expect(report.irregularTimesMs).toEqual([start + 5.5 * hour]);
  });

  it('takes the phase of the grid from the rows', () => {
    expect(inspectCandles(candlesAt([0.25, 1.25, 2.25, 3])).irregularTimesMs).toEqual([start + 3 * hour]);
  });

  it('finds zero volume and closes that come early or late', () => {
    const report = inspectCandles(
      candlesAt([0, 1, 2, 3], (candles) => {
        candles.volume[1] = 0;
        candles.closeTimeMs[2] = start + 2.5 * hour;
        candles.closeTimeMs[3] = start + 4 * hour;
      }),
    );
    expect(report.zeroVolumeTimesMs).toEqual([start + hour]);
    expect(report.earlyCloseTimesMs).toEqual([start + 2 * hour]);
    expect(report.lateCloseTimesMs).toEqual([start + 3 * hour]);
  });

  it('handles tables of no and one row', () => {
    expect(inspectCandles(candlesAt([]))).toMatchObject({ rows: 0, intervalMs: null, firstTimeMs: null });
    expect(inspectCandles(candlesAt([3]))).toMatchObject({ rows: 1, intervalMs: null, gaps: [] });
    expect(describeCandles(inspectCandles(candlesAt([])))).toEqual(['no rows']);
  });
});

describe('describeCandles', () => {
  it('prints the findings and cuts long lists', () => {
    const hours = Array.from({ length: 200 }, (_, i) => i).filter((value) => value % 20 !== 19);
    const lines = describeCandles(inspectCandles(candlesAt(hours)), 2);
    expect(lines).toEqual([
      '190 rows from 2024-01-01 00:00 to 2024-01-09 06:00 UTC, one every 60 min',
      '9 gaps, 9 bars missing',
      '  2024-01-01 19:00 to 2024-01-01 19:00: 1',
      '  2024-01-02 15:00 to 2024-01-02 15:00: 1',
      '… and 7 more',
    ]);
  });
});
