/** Search spaces and parameter values in the JSON of `coordinator suggest`, `importance` and `hypervolume`. */
import {
  makeCategorical,
  makeFloat,
  makeInt,
  makeSpace,
  ParameterError,
  parameterProblem,
} from '../../shared/core/space/make-parameter.js';
import type { Parameter, Params, ParameterValue, Space } from '../../shared/core/space/parameter.js';
import { asArray, asBoolean, asFinite, asName, asObject, asValue, InputError, show } from './json-input.js';

function parseParameter(entry: unknown, place: string): Parameter {
  const given = asObject(entry, place, ['name', 'choices', 'low', 'high', 'step', 'log', 'int']);
  const name = asName(given['name'], `${place}.name`);
  try {
    if (given['choices'] !== undefined) {
      if (Object.keys(given).length > 2) {
        throw new InputError(place, 'a parameter with choices has only name and choices');
      }
      const choices = asArray(given['choices'], `${place}.choices`);
      return makeCategorical(
        name,
        choices.map((choice, i) => asValue(choice, `${place}.choices[${i}]`)),
      );
    }
    const spec = {
      name,
      low: asFinite(given['low'], `${place}.low`),
      high: asFinite(given['high'], `${place}.high`),
      log: asBoolean(given['log'], `${place}.log`, false),
      step: (given['step'] ?? null) === null ? null : asFinite(given['step'], `${place}.step`),
    };
    return asBoolean(given['int'], `${place}.int`, false) ? makeInt(spec) : makeFloat(spec);
  } catch (error) {
    if (error instanceof ParameterError) throw new InputError(place, error.message);
    throw error;
  }
}

/** A search space, parameters in the order in which they are asked for. */
export function parseSpace(value: unknown, place: string): Space {
  const parameters = asArray(value, place, 'a list of parameters').map((entry, i) =>
    parseParameter(entry, `${place}[${i}]`),
  );
  try {
    return makeSpace(parameters);
  } catch (error) {
    if (error instanceof ParameterError) throw new InputError(place, error.message);
    throw error;
  }
}

function checkedValue(parameter: Parameter, value: unknown, place: string): ParameterValue {
  const checked = asValue(value, place);
  const problem = parameterProblem(parameter, checked);
  if (problem !== null) throw new InputError(place, problem);
  return checked;
}

/** In a list, null stands for a parameter that the trial does not have, unless null is one of its choices. */
function isAbsent(parameter: Parameter, value: unknown): boolean {
  return value === null && !(parameter.kind === 'categorical' && parameter.choices.includes(null));
}

/** Values as a list in space order, or by name (where parameters may be missing). */
export function parseParams(value: unknown, space: Space, place: string): Params {
  if (Array.isArray(value)) {
    if (value.length !== space.length) {
      throw new InputError(place, `${value.length} values, but the space has ${space.length} parameters`);
    }
    const entries = space.map((parameter, i): [Parameter, unknown] => [parameter, value[i]]);
    return Object.fromEntries(
      entries
        .filter(([parameter, given]) => !isAbsent(parameter, given))
        .map(([parameter, given]) => [
          parameter.name,
          checkedValue(parameter, given, `${place} (${parameter.name})`),
        ]),
    );
  }
  const byName = new Map(space.map((parameter) => [parameter.name, parameter]));
  return Object.fromEntries(
    Object.entries(asObject(value, place, null)).map(([name, given]) => {
      const parameter = byName.get(name);
      if (parameter === undefined) {
        throw new InputError(
          place,
          `${show(name)} is not in the space; its names are ${[...byName.keys()].join(', ')}`,
        );
      }
      return [name, checkedValue(parameter, given, `${place}.${name}`)];
    }),
  );
}
