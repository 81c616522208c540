/**
 * What is odd about a candle table. Nothing is repaired here: exchange outages are real, and who uses the candles
 * decides what to leave out (hermite-model.md §18.10). The report is what a person sees after an import.
 */
import { candleCount, type Candles } from './candles.js';

/** A stretch of missing bars between two neighbouring rows. Times are UTC milliseconds. */
export interface CandleGap {
  /** Open time of the first missing bar. */
  readonly fromMs: number;
  /** Open time of the last missing bar. */
  readonly toMs: number;
  readonly bars: number;
}

export interface CandleReport {
  readonly rows: number;
  /** Length of a bar: the most common distance between neighbours; null with fewer than two rows. */
  readonly intervalMs: number | null;
  /** Open times of the first and last row; null for an empty table. */
  readonly firstTimeMs: number | null;
  readonly lastTimeMs: number | null;
  readonly gaps: readonly CandleGap[];
  readonly missingBars: number;
  /** Rows with the same open time as the row before. */
  readonly duplicateTimesMs: readonly number[];
  /** Rows whose open time lies before that of the row before. */
  readonly disorderedTimesMs: readonly number[];
  /** Rows that do not open on the grid that most rows share. */
  readonly irregularTimesMs: readonly number[];
  /** Rows in which nothing was traded. */
  readonly zeroVolumeTimesMs: readonly number[];
  /** Rows that closed before their interval was over. */
  readonly earlyCloseTimesMs: readonly number[];
  /** Rows that closed after their interval was over. */
  readonly lateCloseTimesMs: readonly number[];
}

/** Examines a candle table in one pass per question; rows may be in any condition. Lists hold open times. */
export function inspectCandles(candles: Candles): CandleReport {
  const rows = candleCount(candles);
  const times = candles.openTimeMs;
  const intervalMs = commonDifference(times);
  const grid = intervalMs === null ? null : { step: intervalMs, phase: commonPhase(times, intervalMs) };
  const gaps = intervalMs === null ? [] : findGaps(times, intervalMs);
  const timesWhere = (odd: (time: number, row: number) => boolean): number[] => [...times.filter(odd)];
  const closesEarly = (time: number, row: number): number =>
    intervalMs === null ? 0 : time + intervalMs - 1 - at(candles.closeTimeMs, row);
  return {
    rows,
    intervalMs,
    firstTimeMs: times[0] ?? null,
    lastTimeMs: times[rows - 1] ?? null,
    gaps,
    missingBars: gaps.reduce((sum, gap) => sum + gap.bars, 0),
    duplicateTimesMs: timesWhere((time, row) => row > 0 && time === at(times, row - 1)),
    disorderedTimesMs: timesWhere((time, row) => row > 0 && time < at(times, row - 1)),
    irregularTimesMs: timesWhere((time) => grid !== null && modulo(time, grid.step) !== grid.phase),
    zeroVolumeTimesMs: timesWhere((_, row) => candles.volume[row] === 0),
    earlyCloseTimesMs: timesWhere((time, row) => closesEarly(time, row) > 0),
    lateCloseTimesMs: timesWhere((time, row) => closesEarly(time, row) < 0),
  };
}

/** The report as lines for a terminal. Lists are cut after `itemsMax` entries, with the number left out. */
export function describeCandles(report: CandleReport, itemsMax = 20): string[] {
  if (report.firstTimeMs === null || report.lastTimeMs === null) return ['no rows'];
  const lines = [
    `${report.rows} rows from ${minuteText(report.firstTimeMs)} to ${minuteText(report.lastTimeMs)} UTC` +
      (report.intervalMs === null ? '' : `, one every ${report.intervalMs / 60_000} min`),
    `${report.gaps.length} gaps, ${report.missingBars} bars missing`,
    ...cutList(
      report.gaps.map((gap) => `  ${minuteText(gap.fromMs)} to ${minuteText(gap.toMs)}: ${gap.bars}`),
      itemsMax,
    ),
  ];
  const oddities: [string, readonly number[]][] = [
    ['rows with a repeated time', report.duplicateTimesMs],
    ['rows out of order', report.disorderedTimesMs],
    ['rows off the time grid', report.irregularTimesMs],
    ['rows without volume', report.zeroVolumeTimesMs],
    ['rows that close early', report.earlyCloseTimesMs],
    ['rows that close late', report.lateCloseTimesMs],
  ];
  for (const [what, odd] of oddities) {
    if (odd.length === 0) continue;
    lines.push(`${odd.length} ${what}: ${cutList(odd.map(minuteText), itemsMax).join(', ')}`);
  }
  return lines;
}

/** A UTC time as `2019-03-12 02:00`. */
export const minuteText = (timeMs: number): string =>
  Number.isFinite(timeMs) && Math.abs(timeMs) <= 8.64e15
    ? new Date(timeMs).toISOString().slice(0, 16).replace('T', ' ')
    : String(timeMs);

function findGaps(times: Float64Array, intervalMs: number): CandleGap[] {
  const gaps: CandleGap[] = [];
  for (let row = 1; row < times.length; row++) {
    const before = at(times, row - 1);
    const bars = Math.round((at(times, row) - before) / intervalMs) - 1;
    if (bars >= 1) gaps.push({ fromMs: before + intervalMs, toMs: before + bars * intervalMs, bars });
  }
  return gaps;
}

/** The most common positive difference of neighbours; the smaller one of two equally common. */
function commonDifference(times: Float64Array): number | null {
  const differences = times.subarray(1).map((time, i) => time - at(times, i));
  return mostCommon(differences.filter((difference) => difference > 0));
}

const commonPhase = (times: Float64Array, step: number): number =>
  mostCommon(times.map((time) => modulo(time, step))) ?? 0;

function mostCommon(values: Float64Array): number | null {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  let best: number | null = null;
  let bestCount = 0;
  for (const [value, count] of counts) {
    if (count > bestCount || (count === bestCount && best !== null && value < best)) {
      best = value;
      bestCount = count;
    }
  }
  return best;
}

const modulo = (value: number, step: number): number => ((value % step) + step) % step;

/** Reads an index that the caller knows to exist. */
const at = (column: Float64Array, row: number): number => column[row] ?? Number.NaN;

function cutList(items: readonly string[], itemsMax: number): string[] {
  if (items.length <= itemsMax) return [...items];
  return [...items.slice(0, itemsMax), `… and ${items.length - itemsMax} more`];
}
