/** When training has seen enough (hermite-model.md §10). */
export interface EarlyStoppingRules {
  /** Looks without improvement before stopping; 0 = never. */
  readonly patience: number;
  /** Least improvement that counts. */
  readonly minDelta: number;
}

export interface EarlyStopping {
  /** Takes the metric of one look, higher is better, NaN counts as −∞; says whether it improved on the best. */
  readonly improved: (metric: number) => boolean;
  /** True after `patience` looks without improvement in a row. */
  readonly exhausted: () => boolean;
}

/** A fresh record. The first look always improves, even on NaN: there is nothing better to keep. */
export function createEarlyStopping(rules: EarlyStoppingRules): EarlyStopping {
  let best = -Infinity;
  let misses = 0;
  return {
    improved: (metric) => {
      const value = Number.isNaN(metric) ? -Infinity : metric;
      if (value >= best + rules.minDelta) {
        best = value;
        misses = 0;
        return true;
      }
      misses += 1;
      return false;
    },
    exhausted: () => rules.patience > 0 && misses >= rules.patience,
  };
}
