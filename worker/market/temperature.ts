import type { Numbers } from '../../shared/core/metrics/numbers.js';

const coarsePoints = 25;
const finePoints = 40;
const temperatureMin = 0.05;
const temperatureMax = 20;

/** `count` equally spaced values from `low` to `high`, both included. */
const spaced = (low: number, high: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => (i === count - 1 ? high : low + (i * (high - low)) / (count - 1)));

/** Mean binary cross-entropy of the logits divided by `temperature`, by the softplus that does not overflow. */
function crossEntropy(logits: Numbers, labels: Numbers, temperature: number): number {
  let sum = 0;
  for (let i = 0; i < logits.length; i++) {
    const z = (logits[i] ?? NaN) / temperature;
    const margin = labels[i] === 1 ? -z : z;
    sum += Math.max(margin, 0) + Math.log1p(Math.exp(-Math.abs(margin)));
  }
  return sum / logits.length;
}

/**
 * The temperature T that makes `σ(logit / T)` fit the labels best, by grid search in two rounds (hermite-model.md §11); a later point
 * wins only if strictly better. 1 for no rows or a single class; within [0.05, 20].
 */
export function fitTemperature(logits: Numbers, labels: Numbers): number {
  let positives = 0;
  for (let i = 0; i < labels.length; i++) positives += labels[i] === 1 ? 1 : 0;
  if (positives === 0 || positives === labels.length) return 1;
  let best = 1;
  let lowest = Infinity;
  const tryAll = (candidates: readonly number[]): void => {
    for (const temperature of candidates) {
      const loss = crossEntropy(logits, labels, temperature);
      if (loss < lowest) {
        lowest = loss;
        best = temperature;
      }
    }
  };
  tryAll([...spaced(0.1, 5, coarsePoints), ...spaced(0.5, 10, coarsePoints), 1]);
  tryAll(spaced(Math.max(temperatureMin, best / 2), Math.min(temperatureMax, best * 2), finePoints));
  return Math.min(temperatureMax, Math.max(temperatureMin, best));
}
