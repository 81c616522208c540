/** What a trial of the history says about the parameters: which it has, and their internal values. */
import { parametersCompatible } from '../space/make-parameter.js';
import { describeValues, parameterProblem, toInternal } from '../space/parameter-values.js';
import type { Parameter, Params, ParameterValue, Space } from '../space/parameter.js';
import type { FinishedTrial, RunningTrial } from './sampler.js';
import { SamplerError } from './sampler-error.js';

/** The value under a name, undefined when there is none. */
export function valueOf(params: Params, name: string): ParameterValue | undefined {
  const value = params[name];
  // What every object inherits is a function or an object; a plain value can only be its own.
  if (typeof value !== 'function' && typeof value !== 'object') return value;
  return Object.hasOwn(params, name) ? value : undefined;
}

/**
 * The parameters that a trial has values for, with the distributions it was asked with: its own where it carries
 * them, otherwise those of `space`. Throws a `SamplerError` when one of its own cannot stand under the same name as
 * the present one (tpe.md §3, compatibility).
 */
export function trialParameters(trial: FinishedTrial | RunningTrial, space: Space): Parameter[] {
  if (trial.space === undefined) {
    return space.filter((parameter) => valueOf(trial.params, parameter.name) !== undefined);
  }
  const own = new Map(trial.space.map((parameter) => [parameter.name, parameter]));
  for (const parameter of space) {
    const earlier = own.get(parameter.name);
    if (earlier === undefined) own.set(parameter.name, parameter);
    else checkCompatible(parameter, earlier);
  }
  return [...own.values()].filter((parameter) => valueOf(trial.params, parameter.name) !== undefined);
}

/** Throws a `SamplerError` when a parameter changed its kind, its `log` or its choices during the study. */
export function checkCompatible(present: Parameter, earlier: Parameter): void {
  if (parametersCompatible(present, earlier)) return;
  throw new SamplerError(
    `parameter ${JSON.stringify(present.name)} was ${describe(earlier)} in an earlier trial and is now ` +
      `${describe(present)}; within a study its kind, log and choices must stay the same`,
  );
}

function describe(parameter: Parameter): string {
  if (parameter.kind === 'categorical') return `categorical (${describeValues(parameter)})`;
  return `${parameter.log ? 'a log' : 'a linear'} ${parameter.kind}`;
}

/**
 * The internal value of a recorded or given parameter value; it may lie off the grid. Throws a `SamplerError` when the
 * parameter could never have recorded it; `where` says whose value it is.
 */
export function internalValue(parameter: Parameter, value: ParameterValue, where: string): number {
  const internal = toInternal(parameter, value);
  if (internal !== null) return internal;
  throw new SamplerError(`${where}: ${parameterProblem(parameter, value) ?? ''}`);
}
