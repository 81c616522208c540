import type { TpeRules } from '../sampler.js';

/** What shapes a Parzen estimator beside its observations (tpe.md §1 and §2). */
export interface EstimatorRules {
  /** `neighbour`: from the gaps between observations. `scott`: one constant per parameter. */
  readonly bandwidth: 'neighbour' | 'scott';
  /** Weight of the prior kernel against one new observation, ≥ 0. */
  readonly priorWeight: number;
  /** Whether bandwidths are kept above a share of the range that shrinks with the number of observations. */
  readonly magicClip: boolean;
  /** Whether the gaps to the bounds count for the outermost observations. */
  readonly endpoints: boolean;
}

/**
 * The rules of a release (tpe.md §2): Optuna 4 takes the constant bandwidth when its sampler is multivariate, even for
 * a parameter that it then samples alone; everything else follows the neighbours.
 */
export function estimatorRules(rules: TpeRules, multivariate: boolean): EstimatorRules {
  return {
    bandwidth: rules === 'optuna-4' && multivariate ? 'scott' : 'neighbour',
    priorWeight: 1,
    magicClip: true,
    endpoints: false,
  };
}
