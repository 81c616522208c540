/** What the loss of hermite-model.md §8 is made of. */
export interface LossSettings {
  readonly regWeight: number;
  readonly clsWeight: number;
  readonly uncWeight: number;
  readonly signWeight: number;
  readonly classification: 'bce' | 'focal';
  readonly focalGamma: number;
  /** ω: weight of the positive class under bce; 1 under focal. */
  readonly posWeight: number;
  /**
   * Factor inside the tanh of the sign term: 5 on raw returns, as in the original. On targets in units of σ it is
   * √(2/π): then tanh(factor·mu) follows 2·P(up) − 1 = erf(mu/√2), so that the term and the likelihood agree on mu.
   */
  readonly signScale: number;
}

/** Limits of the log variance (§7.6). */
export const logvarRange = { low: -12, high: 5 } as const;
