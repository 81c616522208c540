/** The `data` section: a stored data set, or a synthetic market openly named. */
import type { DataSource, SyntheticMarket } from '../../shared/core/study/definition.js';
import { syntheticMarketLimits, syntheticMarketProblems } from '../../shared/core/market/synthetic-market.js';
import { studyFileLimits } from './limits.js';
import { readNumber, readText, type MapReader, type ReadContext } from './map-reader.js';
import { nameRule } from './names.js';

const datasetRule = { pattern: nameRule.pattern, wanted: 'the name or hash of a stored data set' };

/** What the study trains on; `none` without the section (a command trainer may bring its own). */
export function readData(context: ReadContext, root: MapReader): DataSource {
  const map = root.section('data');
  if (map === null) return { kind: 'none' };
  const dataset = map.find('dataset');
  const synthetic = map.section('synthetic');
  const barsMax = syntheticMarketLimits.barsMax * 100;
  const hasBars = map.has('bars');
  const bars = map.number('bars', { whole: true, low: 1, high: barsMax }, 1);
  const signs = map.section('random_signs');
  map.finish();
  if ((dataset === null) === !map.has('synthetic')) {
    const message = dataset === null ? 'names no data' : 'names two sources of data';
    const wanted = 'expected { dataset: NAME } or { synthetic: { name, seed, bars, volatility, signal } }';
    context.problems.add(map.place, `${message}; ${wanted}`);
    return { kind: 'none' };
  }
  if (synthetic !== null) {
    const foreign = (key: string, remedy: string): void => {
      const given = map.find(key);
      if (given !== null) context.problems.add(given.place, `belongs to a dataset; ${remedy}`);
    };
    foreign('bars', 'set synthetic.bars instead');
    foreign('random_signs', 'a synthetic market with signal 0 has nothing to predict either');
    return readSynthetic(context, synthetic);
  }
  const name = dataset === null ? null : readText(context, dataset, datasetRule);
  const randomSigns = signs === null ? {} : { randomSigns: { seed: readSignsSeed(context, signs) } };
  return name === null
    ? { kind: 'none' }
    : { kind: 'dataset', dataset: name, bars: hasBars ? bars : null, ...randomSigns };
}

/** The seed must be given: which market a study saw should stand in its file. */
function readSignsSeed(context: ReadContext, map: MapReader): number {
  const bounds = { whole: true, low: 0, high: studyFileLimits.seedMax };
  const value = map.require('seed', `a whole number from 0 to ${studyFileLimits.seedMax}`);
  map.finish();
  return value === null ? 0 : (readNumber(context, value, bounds) ?? 0);
}

/** All figures must be given: what a made-up market holds should stand in the study file. */
function readSynthetic(context: ReadContext, map: MapReader): DataSource {
  const nameValue = map.require('name', 'a name that says what it is, such as synthetic-signal');
  const name = nameValue === null ? null : readText(context, nameValue, nameRule);
  const read = (key: keyof SyntheticMarket, wanted: string): number | null => {
    const value = map.require(key, wanted);
    return value === null ? null : readNumber(context, value, {});
  };
  const seed = read('seed', `a whole number from 0 to ${studyFileLimits.seedMax}`);
  const bars = read('bars', 'the number of hourly bars');
  const volatility = read('volatility', 'the standard deviation of an hourly log return, such as 0.005');
  const signal = read('signal', 'the correlation of neighbouring returns, 0 for nothing to predict');
  map.finish();
  // Legal stand-ins for what could not be read, so that the rest is checked all the same.
  const market = { seed: seed ?? 0, bars: bars ?? 2, volatility: volatility ?? 0.01, signal: signal ?? 0 };
  for (const { field, message } of syntheticMarketProblems(market))
    context.problems.add(map.find(field)?.place ?? map.place, message);
  return { kind: 'synthetic', name: name ?? '', market };
}
