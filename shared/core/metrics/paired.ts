/**
 * Two forecasts of the same rows, judged row by row (hermite-model.md §18.4). What moves both alike, the luck of the period, is in
 * neither difference, so that the error of a difference is far below those of the two figures.
 */
import { auc, aucDeviation } from './auc.js';
import { directionHits } from './direction.js';
import { mean, overlappingProducts, type Numbers } from './numbers.js';
import { normalTwoSided } from './special-functions.js';

/** Rows in time order that one model of each side forecast. */
export interface PairedBlock {
  /** 1 = up. */
  readonly up: Numbers;
  readonly scores: readonly [Numbers, Numbers];
  /** Calibrated probabilities of up. */
  readonly probabilities: readonly [Numbers, Numbers];
}

/** The first side's figure less the second's. */
export interface PairedDifference {
  readonly difference: number;
  readonly standardError: number;
  /** Two-sided, by the normal distribution; NaN where the error is 0 or not known. */
  readonly pValue: number;
}

/** Figures that can be compared row by row, under the names of a trial's metrics. */
export const pairedFigures = ['auc', 'dir_acc', 'brier'] as const;
export type PairedFigure = (typeof pairedFigures)[number];

/** What each row adds to the deviation of a difference, block by block, and the difference. */
interface Shares {
  readonly difference: number;
  readonly blocks: readonly Float64Array[];
}

const rowsOf = (blocks: readonly PairedBlock[]): number => blocks.reduce((sum, { up }) => sum + up.length, 0);

/** The mean of the blocks' own AUCs, weighted by rows (models differ between blocks, so rows are ranked within them); DeLong's shares. */
function aucShares(blocks: readonly PairedBlock[], horizon: number): Shares {
  const rows = rowsOf(blocks);
  const share = ({ up }: PairedBlock): number => up.length / rows;
  const of = (block: PairedBlock, side: 0 | 1) => aucDeviation(block.scores[side], block.up, horizon).shares;
  return {
    difference: blocks.reduce(
      (sum, block) => sum + share(block) * (auc(block.scores[0], block.up) - auc(block.scores[1], block.up)),
      0,
    ),
    blocks: blocks.map((block) => {
      const second = of(block, 1);
      return of(block, 0).map((first, row) => share(block) * (first - (second[row] ?? NaN)));
    }),
  };
}

/** The difference of two means over rows. */
function meanShares(
  blocks: readonly PairedBlock[],
  lossOf: (block: PairedBlock, side: 0 | 1) => Float64Array,
): Shares {
  const rows = rowsOf(blocks);
  const differences = blocks.map((block) => {
    const second = lossOf(block, 1);
    return lossOf(block, 0).map((first, row) => first - (second[row] ?? NaN));
  });
  const difference = differences.reduce((sum, block) => sum + block.length * mean(block), 0) / rows;
  return {
    difference,
    blocks: differences.map((block) => block.map((value) => (value - difference) / rows)),
  };
}

function sharesOf(figure: PairedFigure, blocks: readonly PairedBlock[], horizon: number): Shares {
  switch (figure) {
    case 'auc':
      return aucShares(blocks, horizon);
    case 'dir_acc':
      return meanShares(blocks, ({ probabilities, up }, side) => directionHits(probabilities[side], up));
    case 'brier':
      return meanShares(blocks, ({ probabilities, up }, side) =>
        Float64Array.from(probabilities[side], (probability, row) => (probability - (up[row] ?? NaN)) ** 2),
      );
  }
}

/**
 * The difference of a weighted sum of figures, `Σ weight · figure`, of two forecasts of the same rows, with its standard error: what
 * each row adds, squared and added up, rows whose targets overlap (`horizon` bars ahead) taken together with the weights of Newey and
 * West (1987), which leaves it up to a sixth too small where what the two forecasters see lasts as long as the targets overlap. Blocks
 * are taken as apart in time. Of one figure with weight 1: Diebold and Mariano's test for `brier` and `dir_acc`, DeLong's for `auc`. NaN where a block
 * has fewer than two rows of a class (with `auc` among the weights), and without rows.
 */
export function pairedDifference(
  weights: Readonly<Partial<Record<PairedFigure, number>>>,
  blocks: readonly PairedBlock[],
  horizon: number,
): PairedDifference {
  const parts = pairedFigures.flatMap((figure) => {
    const weight = weights[figure];
    return weight === undefined ? [] : [{ weight, shares: sharesOf(figure, blocks, horizon) }];
  });
  const difference =
    blocks.length === 0
      ? NaN
      : parts.reduce((sum, { weight, shares }) => sum + weight * shares.difference, 0);
  const square = blocks.reduce((sum, { up }, index) => {
    const together = Float64Array.from({ length: up.length }, (_, row) =>
      parts.reduce((total, { weight, shares }) => total + weight * (shares.blocks[index]?.[row] ?? NaN), 0),
    );
    return sum + overlappingProducts(together, together, horizon);
  }, 0);
  const standardError = blocks.length === 0 ? NaN : Math.sqrt(Math.max(0, square));
  const pValue = standardError > 0 ? normalTwoSided(difference / standardError) : NaN;
  return { difference, standardError, pValue };
}
