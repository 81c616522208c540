import { trialSeed } from '../sampler/mt19937.js';

/** Keeps the trainer's random stream apart from the sampler's, which starts from the same seed and number. */
const trainerSalt = 0x5eed_7a11;

/** Seed of everything random in a trial, 0 ≤ seed < 2³², from the study's seed and the trial's number. */
export const trainerSeed = (studySeed: number, number: number): number =>
  trialSeed((studySeed ^ trainerSalt) >>> 0, number);
