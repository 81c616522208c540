import { trialSeed } from '../../shared/core/sampler/mt19937.js';
import type { EvaluationSettings } from '../../shared/core/trainers/evaluation-settings.js';

const v6Seed = 42;

/**
 * Seed of a fold's initial weights, shuffling and dropout: from the trial's own seed, or, with `seed_policy: v6`, 42 + fold for every
 * trial alike (hermite-model.md §18.12).
 */
export const foldSeed = (policy: EvaluationSettings['seedPolicy'], trial: number, fold: number): number =>
  policy === 'v6' ? v6Seed + fold : trialSeed(trial, fold);
