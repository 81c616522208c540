import { TrialFailed } from '../port.js';

/** Training rows by direction. */
export interface ClassBalance {
  readonly up: number;
  readonly down: number;
}

export interface ImbalanceRules {
  readonly classification: 'bce' | 'focal';
  readonly autoPosWeight: boolean;
}

/** Below this share of the rarer class a loss that ignores the imbalance is refused (hermite-model.md §8). */
const minorityShareMin = 0.1;

/** Counts directions, 1 = up. */
export function classBalance(labels: Uint8Array): ClassBalance {
  const up = labels.reduce((count, label) => count + label, 0);
  return { up, down: labels.length - up };
}

/**
 * ω, the weight of the positive class: negatives / positives under bce with automatic weight, else 1. Throws
 * `TrialFailed` (infeasible) when all training rows have one direction, or the rarer one is below 10 % and nothing makes
 * up for it.
 */
export function positiveWeight(balance: ClassBalance, rules: ImbalanceRules): number {
  const { up, down } = balance;
  if (up === 0 || down === 0) {
    throw new TrialFailed(
      'infeasible',
      `all ${up + down} training rows go ${up === 0 ? 'down' : 'up'}: nothing to learn`,
    );
  }
  const weighted = rules.classification === 'bce' && rules.autoPosWeight;
  const share = Math.min(up, down) / (up + down);
  if (share < minorityShareMin && rules.classification !== 'focal' && !weighted) {
    throw new TrialFailed(
      'infeasible',
      `only ${(100 * share).toFixed(1)} % of the training rows go ${up < down ? 'up' : 'down'}: ` +
        'set auto_pos_weight: true or classification_loss: focal',
    );
  }
  return weighted ? down / up : 1;
}
