/** The best configuration of a study, as the file that `shared/core/study/best-config.ts` describes. */
import type { BestConfig, Plain } from '../../shared/core/study/best-config.js';
import type { Objective } from '../../shared/core/study/definition.js';
import type { Params, Space } from '../../shared/core/space/parameter.js';
import type { Trial } from '../../shared/core/study/trial.js';
import { parseEvaluation } from '../../shared/core/trainers/evaluation-settings.js';
import { parseHermiteParams } from '../../shared/core/trainers/hermite-settings.js';
import type { ResultsStudy } from './results-study.js';
import { objectiveError } from './standard-error.js';

/** The configuration of a trial, `front` being the numbers of the Pareto front (ignored with one objective). */
export function bestConfigOf(study: ResultsStudy, trial: Trial, front: readonly number[]): BestConfig {
  const { definition } = study;
  return {
    study: definition.name,
    trial: trial.number,
    values: Object.fromEntries(
      definition.objectives.map(({ name }, index) => [name, trial.values[index] ?? Number.NaN]),
    ),
    standardErrors: errorsOf(definition.objectives, trial, false),
    standardErrorsAtMost: errorsOf(definition.objectives, trial, true),
    paretoFront: definition.objectives.length > 1 ? front : [],
    metrics: Object.fromEntries(Object.entries(trial.metrics).sort(([a], [b]) => (a < b ? -1 : 1))),
    params: inSpaceOrder(definition.space, trial.params),
    fixed: definition.fixed,
    offGrid: trial.offGrid,
    trainer: definition.trainer,
    evaluation: definition.evaluation,
    effective: effectiveConfig(study, trial),
    dataset: study.dataset,
    seed: definition.sampler.seed,
    definitionHash: study.definitionHash,
  };
}

/** Of the objectives whose error is known, or of those where it is only bounded. */
function errorsOf(
  objectives: readonly Objective[],
  { metrics }: Trial,
  atMost: boolean,
): Readonly<Record<string, number>> {
  const errors = objectives.map((objective) => [objective.name, objectiveError(objective, metrics)] as const);
  return Object.fromEntries(
    errors.flatMap(([name, error]) => (error?.atMost === atMost ? [[name, error.value]] : [])),
  );
}

/** The store does not keep the order of names; people know the study file's. */
function inSpaceOrder(space: Space, params: Params): Params {
  const names = space.map(({ name }) => name).filter((name) => Object.hasOwn(params, name));
  return Object.fromEntries(
    [...new Set([...names, ...Object.keys(params)])].map((name) => [name, params[name] ?? null]),
  );
}

function effectiveConfig({ definition }: ResultsStudy, trial: Trial): Readonly<Record<string, Plain>> {
  if (definition.trainer !== 'hermite') return {};
  const evaluation = parseEvaluation(definition.evaluation);
  if (!evaluation.ok) return {};
  const params = parseHermiteParams({ ...definition.fixed, ...trial.params }, evaluation.evaluation);
  return params.ok
    ? { params: snakeCased(params.params), evaluation: snakeCased(evaluation.evaluation) }
    : {};
}

/** Settings with their keys as study files write them. */
function snakeCased(settings: Readonly<Record<string, Plain>>): Record<string, Plain> {
  const snake = (key: string): string => key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [
      snake(key),
      isSection(value) ? snakeCased(value) : value,
    ]),
  );
}

const isSection = (value: Plain): value is Readonly<Record<string, Plain>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
