/** One golden file: what kind it is, and how far our figures are from it. The kind is seen in the content, not in the name. */
import type { Runtime } from '../../trainers/runtime/runtime.js';
import { checkFeatures } from './check-features.js';
import { checkFolds } from './check-folds.js';
import { checkHermite } from './check-hermite.js';
import { checkMetrics, metricSections } from './check-metrics.js';
import { checkModel } from './check-model.js';
import { checkObjective } from './check-objective.js';
import { checkSplits } from './check-splits.js';
import { checkTraining } from './check-training.js';
import { Deviations, type WorstDeviation } from './deviations.js';
import { Figures, GoldenFormatError } from './figures.js';

interface Kind {
  readonly name: string;
  readonly recognises: (golden: Figures) => boolean;
  readonly check: (golden: Figures, deviations: Deviations, runtime: Runtime) => void | Promise<void>;
}

/** Whether the first case of a list has this key. */
const firstCaseHas = (golden: Figures, key: string, list = 'cases'): boolean => {
  const cases = golden.find(list);
  return cases !== null && Array.isArray(cases.value) && cases.list()[0]?.has(key) === true;
};

/** More particular kinds first. */
const kinds: readonly Kind[] = [
  {
    name: 'fold_train',
    recognises: (g) => g.has('candles') && firstCaseHas(g, 'initial_weights'),
    check: checkFolds,
  },
  {
    name: 'features',
    recognises: (g) =>
      g.has('candles') && ['features_default', 'labels', 'datasets'].some((key) => g.has(key)),
    check: checkFeatures,
  },
  {
    name: 'model',
    recognises: (g) => g.has('weights') && g.has('outputs') && g.has('config'),
    check: checkModel,
  },
  {
    name: 'train_small',
    recognises: (g) => firstCaseHas(g, 'batches') || firstCaseHas(g, 'max_lr', 'schedules'),
    check: checkTraining,
  },
  { name: 'hermite', recognises: (g) => g.has('z') && firstCaseHas(g, 'coeffs'), check: checkHermite },
  { name: 'splits', recognises: (g) => firstCaseHas(g, 'dataset_length'), check: checkSplits },
  {
    name: 'objective',
    recognises: (g) => firstCaseHas(g, 'stage1') || g.has('stage1_effective'),
    check: checkObjective,
  },
  {
    name: 'metrics',
    recognises: (g) => metricSections.some((section) => g.has(section)),
    check: checkMetrics,
  },
];

export type FileVerdict =
  | {
      readonly verdict: 'ok' | 'miss';
      readonly kind: string;
      /** Figures compared. */
      readonly compared: number;
      readonly worst: WorstDeviation;
    }
  /** Says by its name that it holds no golden figures. */
  | { readonly verdict: 'unknown'; readonly reason: string }
  /** A file of golden figures that cannot be read as one; it counts as missed, for half a download must not pass. */
  | { readonly verdict: 'broken'; readonly kind: string; readonly reason: string };

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** What is called a file of figures and holds none that are known. */
export const unrecognised = (reason: string): FileVerdict => ({
  verdict: 'broken',
  kind: 'unrecognised',
  reason,
});

/** Judges the text of one file on this runtime. Never rejects for anything the file holds. */
export async function checkGoldenText(text: string, runtime: Runtime): Promise<FileVerdict> {
  const value = parse(text);
  if (value === undefined) return unrecognised(text.trim() === '' ? 'empty' : 'not JSON; cut short?');
  const golden = new Figures(value, '');
  const kind = kinds.find(({ recognises }) => recognises(golden));
  if (kind === undefined)
    return unrecognised(`none of the kinds ${kinds.map(({ name }) => name).join(', ')}`);
  const deviations = new Deviations();
  try {
    await kind.check(golden, deviations, runtime);
    // A GPU complains late: figures that were computed after an error are worth nothing.
    await runtime.flushErrors();
  } catch (error) {
    // What we cannot compute from it is a miss as well, whoever is to blame.
    const reason = error instanceof Error ? error.message : String(error);
    const place = error instanceof GoldenFormatError ? '' : 'computing failed: ';
    return { verdict: 'broken', kind: kind.name, reason: `${place}${reason}` };
  }
  const { worst, compared } = deviations;
  if (compared === 0) return { verdict: 'broken', kind: kind.name, reason: 'holds no figure to compare' };
  return { verdict: worst.ratio <= 1 ? 'ok' : 'miss', kind: kind.name, compared, worst };
}
