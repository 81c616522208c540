/** PED-ANOVA: how much the best trials' values of a parameter differ from everybody's (tpe.md §16.1). */
import { selectByHypervolume } from '../../shared/core/metrics/hypervolume-subset.js';
import { nonDominationRanks } from '../../shared/core/metrics/pareto.js';
import { isSingle } from '../../shared/core/space/make-parameter.js';
import type { Parameter, ParameterValue } from '../../shared/core/space/parameter.js';
import { gridDensity } from './grid-density.js';
import {
  ImportanceError,
  normalised,
  type AssessedStudy,
  type AssessedTrial,
  type Importances,
} from './importance.js';

export interface PedAnovaSettings {
  /** Share of the trials that count as the best, above 0. */
  readonly targetQuantile: number;
  /** Share of the trials that they are compared with, above the target's, at most 1. */
  readonly regionQuantile: number;
  /** Compare with the region's values; otherwise with evenly spread ones. */
  readonly local: boolean;
}

const defaults: PedAnovaSettings = { targetQuantile: 0.1, regionQuantile: 1, local: true };
/** Added to every grid point, so that no quotient is infinite. */
const densityMin = 1e-12;
/** Fewer trials of one distribution say nothing. */
const regimeTrialsMin = 2;

/** A trial with what is to be explained, all minimised. */
interface Judged {
  readonly trial: AssessedTrial;
  readonly loss: readonly number[];
}

function judge({ trials, directions, target }: AssessedStudy): Judged[] {
  return trials
    .map((trial): Judged => {
      if (target !== undefined) return { trial, loss: [target(trial)] };
      return { trial, loss: trial.values.map((value, j) => (directions[j] === 'maximize' ? -value : value)) };
    })
    .filter(({ loss }) => loss.length > 0 && loss.every((value) => Number.isFinite(value)));
}

/** The best share of the trials; of one loss all that tie with the last, of several exactly as many. */
function top(judged: readonly Judged[], quantile: number): Judged[] {
  if (quantile >= 1) return [...judged];
  const count = Math.ceil(quantile * judged.length);
  if ((judged[0]?.loss.length ?? 1) > 1) return topByDomination(judged, count);
  const sorted = judged.map(({ loss }) => loss[0] ?? 0).sort((a, b) => a - b);
  const cut = sorted[count - 1] ?? -Infinity;
  return judged.filter(({ loss }) => (loss[0] ?? 0) <= cut);
}

/** Whole fronts while they fit, then by hypervolume (tpe.md §13.3). */
function topByDomination(judged: readonly Judged[], count: number): Judged[] {
  const losses = judged.map(({ loss }) => loss);
  const ranks = nonDominationRanks(losses, count);
  const chosen = new Set<number>();
  for (let rank = 0; chosen.size < Math.min(count, judged.length); rank++) {
    const front = losses.map((_, i) => i).filter((i) => ranks[i] === rank);
    const places = count - chosen.size;
    const points = front.map((i) => losses[i] ?? []);
    const picked =
      front.length <= places ? front : selectByHypervolume(points, places).map((k) => front[k] ?? 0);
    for (const i of picked) chosen.add(i);
  }
  return judged.filter((_, i) => chosen.has(i));
}

/** Trials of the region in which a parameter had one and the same distribution. */
interface Regime {
  readonly parameter: Parameter;
  readonly members: Judged[];
}

const valueIn = ({ trial }: Judged, name: string): ParameterValue | undefined =>
  Object.hasOwn(trial.params, name) ? trial.params[name] : undefined;

function regimesOf(name: string, region: readonly Judged[], study: AssessedStudy): Regime[] {
  const regimes = new Map<string, Regime>();
  for (const judged of region) {
    const spaces = [...(judged.trial.space ?? []), ...study.space];
    const parameter = spaces.find((candidate) => candidate.name === name);
    if (parameter === undefined || valueIn(judged, name) === undefined) continue;
    const key = JSON.stringify(parameter);
    const regime = regimes.get(key) ?? { parameter, members: [] };
    regime.members.push(judged);
    regimes.set(key, regime);
  }
  return [...regimes.values()];
}

/** D_i: the Pearson divergence of the best members' density from everybody's. */
function divergence(regime: Regime, best: readonly Judged[], local: boolean): number {
  const { parameter, members } = regime;
  const density = (judged: readonly Judged[]): number[] =>
    gridDensity(
      parameter,
      judged.map((member) => valueIn(member, parameter.name) ?? null),
    ).map((value) => value + densityMin);
  const f = density(best);
  const g = local ? density(members) : f.map(() => 1 / f.length);
  return f.reduce((sum, value, cell) => {
    const reference = g[cell] ?? 1;
    return sum + reference * (value / reference - 1) ** 2;
  }, 0);
}

/**
 * Importances of the given parameters, by default of all that any trial has. Throws an `ImportanceError` for settings
 * that make no sense or a parameter that no COMPLETE trial has.
 */
export function pedAnova(
  study: AssessedStudy,
  names?: readonly string[],
  settings: Partial<PedAnovaSettings> = {},
): Importances {
  return normalised(rawPedAnova(study, names, settings));
}

/** The same before normalisation, in the order of the parameters. */
export function rawPedAnova(
  study: AssessedStudy,
  names?: readonly string[],
  settings: Partial<PedAnovaSettings> = {},
): ReadonlyMap<string, number> {
  const { targetQuantile, regionQuantile, local } = { ...defaults, ...settings };
  if (!(targetQuantile > 0 && targetQuantile < regionQuantile && regionQuantile <= 1)) {
    throw new ImportanceError(
      `quantiles ${targetQuantile} and ${regionQuantile}: the target's must lie above 0 and below the region's, ` +
        'which is at most 1',
    );
  }
  const present = new Set(study.trials.flatMap(({ params }) => Object.keys(params)));
  const known = new Set(
    [...study.space, ...study.trials.flatMap(({ space }) => space ?? [])].map((p) => p.name),
  );
  const assessed = names ?? [...known].filter((name) => present.has(name));
  const missing = assessed.find((name) => !present.has(name));
  if (missing !== undefined) {
    throw new ImportanceError(
      `no completed trial has a parameter ${JSON.stringify(missing)}; there are ${[...present].join(', ')}`,
    );
  }
  const judged = judge(study);
  const best = judged.length > 1 ? top(judged, targetQuantile) : [];
  const region = top(judged, regionQuantile);
  const isBest = new Set(best);
  const raw = assessed.map((name): [string, number] => {
    const sum = regimesOf(name, region, study).reduce((total, regime) => {
      const members = regime.members.filter((member) => isBest.has(member));
      if (regime.members.length < regimeTrialsMin || members.length === 0 || isSingle(regime.parameter))
        return total;
      const alpha = members.length / best.length;
      const beta = regime.members.length / region.length;
      return total + (alpha ** 2 / beta) * divergence(regime, members, local);
    }, 0);
    return [name, (best.length / region.length) ** 2 * sum];
  });
  return new Map(judged.length > 1 ? raw : assessed.map((name) => [name, 0]));
}
