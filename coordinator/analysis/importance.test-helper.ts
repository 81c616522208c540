/** The COMPLETE trials of the golden cases that importances were recorded for. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Direction } from '../../shared/core/sampler/sampler.js';
import { makeCategorical, makeFloat, makeInt } from '../../shared/core/space/make-parameter.js';
import type { ParameterValue } from '../../shared/core/space/parameter.js';
import type { AssessedStudy } from './importance.js';

export const goldenFolder = path.resolve(import.meta.dirname, '../../../shared/golden/tpe');

interface GoldenParameter {
  name: string;
  choices?: ParameterValue[];
  int?: boolean;
  low: number;
  high: number;
  step: number | null;
  log: boolean;
}

interface GoldenFile {
  spaces: Record<string, GoldenParameter[]>;
  cases: {
    space: string;
    directions: Direction[];
    trials: { params: ParameterValue[]; state: string; values: number[] }[];
  }[];
}

/** A single-objective case of `one-shot-optuna-4.json` by its index there. */
export function goldenStudy(index: number): AssessedStudy {
  const file = path.join(goldenFolder, 'one-shot-optuna-4.json');
  const { spaces, cases } = JSON.parse(readFileSync(file, 'utf8')) as GoldenFile;
  const found = cases[index];
  if (found === undefined) throw new RangeError(`there is no case ${index}`);
  const space = (spaces[found.space] ?? []).map((parameter) => {
    if (parameter.choices !== undefined) return makeCategorical(parameter.name, parameter.choices);
    return parameter.int === true ? makeInt(parameter) : makeFloat(parameter);
  });
  const trials = found.trials
    .filter(({ state }) => state === 'COMPLETE')
    .map(({ params, values }) => ({
      params: Object.fromEntries(space.map(({ name }, i) => [name, params[i] ?? null])),
      values,
    }));
  return { space, directions: found.directions, trials };
}
