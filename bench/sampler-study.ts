/** The study that the sampler is measured on: the V6 space and a made-up objective over it, with a realistic history. */
import { Mt19937 } from '../shared/core/sampler/mt19937.js';
import type { FinishedTrial, RunningTrial, TpeSettings } from '../shared/core/sampler/sampler.js';
import { StudySampler } from '../shared/core/sampler/study-sampler.js';
import { sampleRandom } from '../shared/core/sampler/random.js';
import { makeCategorical, makeFloat, makeInt } from '../shared/core/space/make-parameter.js';
import type { Params, Space } from '../shared/core/space/parameter.js';

const stepped = (name: string, low: number, high: number, step: number) =>
  makeFloat({ name, low, high, step });

/** The seventeen parameters of v6-stage1, in its order. */
export const v6Space: Space = [
  makeCategorical('hermite_version', ['probabilist', 'physicist']),
  makeCategorical('hermite_degree', [4, 5, 6, 7, 8]),
  makeCategorical('hermite_maps_a', [4, 5, 6, 7, 8, 9]),
  makeCategorical('hermite_maps_b', [1, 2, 3, 4, 5]),
  makeCategorical('hermite_hidden_dim', [64, 96, 128, 160, 192]),
  stepped('dropout', 0.01, 0.4, 0.01),
  makeCategorical('lstm_hidden', [32, 48, 64, 80, 96]),
  makeCategorical('classification_loss', ['bce', 'focal']),
  stepped('focal_gamma', 0.5, 4, 0.1),
  makeFloat({ name: 'learning_rate', low: 5e-6, high: 5e-3, log: true }),
  makeFloat({ name: 'weight_decay', low: 1e-5, high: 0.1, log: true }),
  stepped('gradient_clip', 0.5, 5, 0.25),
  stepped('reg_weight', 0.5, 4, 0.1),
  stepped('cls_weight', 0.1, 3, 0.1),
  stepped('unc_weight', 0, 1, 0.05),
  stepped('sign_hinge_weight', 0, 1.5, 0.05),
  makeInt({ name: 'feature_window', low: 16, high: 256, step: 8 }),
];

export const v6Settings: TpeSettings = {
  type: 'tpe',
  seed: 42,
  startupTrials: 250,
  eiCandidates: 64,
  multivariate: true,
  group: false,
  constantLiar: true,
  rules: 'optuna-4',
};

/** Position of a value in its parameter, 0 to 1. */
function position(name: string, params: Params): number {
  const parameter = v6Space.find((candidate) => candidate.name === name);
  const value = params[name];
  if (parameter === undefined || value === undefined) return 0;
  if (parameter.kind === 'categorical') {
    return parameter.choices.indexOf(value) / (parameter.choices.length - 1);
  }
  const { low, high, log } = parameter;
  const number = Number(value);
  return log ? Math.log(number / low) / Math.log(high / low) : (number - low) / (high - low);
}

/**
 * A score to be maximised, shaped like the V6 study's: learning rate and dropout matter most, some parameters interact,
 * many hardly matter. Without noise; at most 1.
 */
export function v6Score(params: Params): number {
  const at = (name: string): number => position(name, params);
  const penalty =
    3 * (at('learning_rate') - 0.62) ** 2 +
    1.5 * (at('dropout') - 0.35) ** 2 +
    0.8 * (at('weight_decay') - at('learning_rate') * 0.7) ** 2 +
    0.5 * (at('hermite_degree') - 0.5) ** 2 +
    0.4 * (at('feature_window') - 0.4) ** 2 +
    0.3 * Math.abs(at('lstm_hidden') - 0.75) +
    0.2 * (at('gradient_clip') - 0.3) ** 2 +
    (params['classification_loss'] === 'focal' ? 0.05 + 0.4 * (at('focal_gamma') - 0.45) ** 2 : 0.12) +
    (params['hermite_version'] === 'physicist' ? 0.06 : 0) +
    0.1 * (at('hermite_maps_a') - at('hermite_maps_b')) ** 2 +
    0.05 * (at('unc_weight') + at('sign_hinge_weight') + at('cls_weight') + at('reg_weight'));
  return 1 - penalty;
}

/** A finished trial of the study; every twentieth was pruned. */
function finishedTrial(number: number, params: Params): FinishedTrial {
  const value = v6Score(params);
  return number % 20 === 19
    ? { state: 'PRUNED', number, params, lastReport: { step: number % 4, value } }
    : { state: 'COMPLETE', number, params, values: [value] };
}

/** Trials that TPE really chose; the rest of a longer history are changed copies of these. */
const chosenTrialsMax = 2_500;
/** Share of parameters that a copy draws anew. */
const changedShare = 0.25;

/**
 * A history of `count` finished trials. Up to 2,500 come from TPE itself with `parallel` workers; a longer one goes on
 * with copies of chosen trials, a quarter of whose parameters are drawn anew.
 */
export function v6History(count: number, parallel: number): FinishedTrial[] {
  const sampler = new StudySampler({ space: v6Space, directions: ['maximize'], settings: v6Settings });
  const finished: FinishedTrial[] = [];
  const running: RunningTrial[] = [];
  const rng = new Mt19937(7);
  for (let number = 0; finished.length < Math.min(count, chosenTrialsMax); number++) {
    running.push({ number, params: sampler.suggest({ number, running }) });
    if (running.length < parallel) continue;
    const [done] = running.splice(Math.floor(rng.nextDouble() * running.length), 1);
    if (done === undefined) continue;
    finished.push(finishedTrial(done.number, done.params));
    sampler.fold(finishedTrial(done.number, done.params));
  }
  const chosen = finished.slice(v6Settings.startupTrials);
  for (let number = chosenTrialsMax + parallel; finished.length < count; number++) {
    const model = chosen[Math.floor(rng.nextDouble() * chosen.length)];
    const params = Object.fromEntries(
      v6Space.map((parameter) => [
        parameter.name,
        rng.nextDouble() < changedShare
          ? sampleRandom(parameter, rng)
          : (model?.params[parameter.name] ?? sampleRandom(parameter, rng)),
      ]),
    );
    finished.push(finishedTrial(number, params));
  }
  return finished.sort((a, b) => a.number - b.number);
}
