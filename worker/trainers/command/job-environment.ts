/** What a program learns about its trial from its environment (docs/guides/command-trainer.md). */
import type { ParameterValue } from '../../../shared/core/space/parameter.js';
import type { TrialJob } from '../port.js';

/** Text of a value: numbers in the shortest form that reads back exactly, booleans as true and false, null as nothing. */
const textOf = (value: ParameterValue): string => (value === null ? '' : String(value));

/** `learning-rate` → `PARZEN_PARAM_LEARNING_RATE`. */
export const parameterVariable = (name: string): string =>
  `PARZEN_PARAM_${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`;

/**
 * The PARZEN_ variables of a job. Two parameters whose names differ only in case or punctuation would share a variable;
 * then neither has one, and the program reads them from standard input.
 */
export function jobVariables(job: TrialJob): Record<string, string> {
  const variables: Record<string, string> = {
    PARZEN_STUDY: job.study,
    PARZEN_TRIAL: String(job.number),
    PARZEN_ATTEMPT: String(job.attempt),
    PARZEN_SEED: String(job.seed),
    PARZEN_DATA: job.dataPath ?? '',
    PARZEN_EVALUATION: JSON.stringify(job.evaluation),
  };
  const shared = new Set<string>();
  for (const [name, value] of Object.entries(job.params)) {
    const variable = parameterVariable(name);
    if (variable in variables) shared.add(variable);
    variables[variable] = textOf(value);
  }
  return Object.fromEntries(Object.entries(variables).filter(([name]) => !shared.has(name)));
}

/**
 * The environment of a program: the worker's without its own PARZEN_ settings, then the definition's variables, then the
 * job's. Values are data: no shell ever sees them.
 */
export function programEnvironment(
  own: Readonly<Record<string, string | undefined>>,
  defined: Readonly<Record<string, string>>,
  job: TrialJob,
): Record<string, string> {
  const inherited = Object.entries(own).flatMap(([name, value]) =>
    value === undefined || name.startsWith('PARZEN_') ? [] : [[name, value] as const],
  );
  return { ...Object.fromEntries(inherited), ...defined, ...jobVariables(job) };
}
