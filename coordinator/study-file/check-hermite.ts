/**
 * Checks a study against what the Hermite trainer takes, so that a mistake shows before a GPU runs and not after. First each
 * value alone (both ends of a range, every choice, what is fixed), then whole sets of parameters: all low ends, all high
 * ends, and each entry of `enqueue`.
 */
import type { EvaluationSettings } from '../../shared/core/trainers/evaluation-settings.js';
import { parseEvaluation } from '../../shared/core/trainers/evaluation-settings.js';
import { checkHermiteParameter, parseHermiteParams } from '../../shared/core/trainers/hermite-settings.js';
import type { SettingRecord } from '../../shared/core/trainers/setting-schema.js';
import type { Parameter, ParameterValue, Params } from '../../shared/core/space/parameter.js';
import type { MapReader, ReadContext } from './map-reader.js';
import type { Place } from './problems.js';
import type { LocatedParams } from './read-params.js';
import type { LocatedParameter } from './read-space.js';

export interface HermiteStudy {
  readonly root: MapReader;
  /** The parameters that could be read. */
  readonly space: ReadonlyMap<string, LocatedParameter>;
  readonly fixed: LocatedParams;
  readonly enqueue: readonly LocatedParams[];
  /** The section, and the places of its keys. */
  readonly evaluation: { readonly record: SettingRecord; readonly places: ReadonlyMap<string, Place> };
}

/** Adds what is wrong to the context's problems, and what the trainer reads differently to its notices. */
export function checkHermite(context: ReadContext, study: HermiteStudy): void {
  const evaluation = checkEvaluation(context, study);
  const isFine = [...study.space.values()].map((located) => checkRange(context, located));
  for (const [name, located] of study.fixed.places) {
    const message = checkHermiteParameter(name, study.fixed.params[name]);
    if (message !== null) context.problems.add(located.place, message);
    isFine.push(message === null);
  }
  // Sets would only repeat what is wrong with their members.
  if (evaluation === null || isFine.includes(false)) return;
  checkSets(context, study, evaluation);
}

function checkEvaluation(
  context: ReadContext,
  { evaluation, root }: HermiteStudy,
): EvaluationSettings | null {
  const parsed = parseEvaluation(evaluation.record);
  if (parsed.ok) {
    for (const notice of parsed.notices)
      context.problems.notice({ ...root.place, path: 'evaluation' }, notice);
    return parsed.evaluation;
  }
  for (const { key, message } of parsed.problems)
    context.problems.add(evaluation.places.get(key) ?? { ...root.place, path: `evaluation.${key}` }, message);
  return null;
}

/** Whether the trainer takes the values of one parameter. */
function checkRange(context: ReadContext, { parameter, value }: LocatedParameter): boolean {
  const wrong = probes(parameter)
    .map((probe) => checkHermiteParameter(parameter.name, probe))
    .filter((message) => message !== null);
  const [first] = wrong;
  if (first === undefined) return true;
  const [low, , high] = probes(parameter);
  const onlyBetween =
    parameter.kind === 'float' &&
    checkHermiteParameter(parameter.name, low) === null &&
    checkHermiteParameter(parameter.name, high) === null;
  context.problems.add(
    value.place,
    onlyBetween ? 'has values that are not whole, but the trainer takes whole numbers; add int: true' : first,
  );
  return false;
}

/** Values that stand for all of a parameter: its choices, or low end, one in between, and high end. */
function probes(parameter: Parameter): readonly ParameterValue[] {
  if (parameter.kind === 'categorical') return parameter.choices;
  const { low, high, step } = parameter;
  // An irrational share of the range meets no whole number by accident.
  const between = step === null ? low + (high - low) * (Math.SQRT2 - 1) : Math.min(low + step, high);
  return [low, between, high];
}

function checkSets(context: ReadContext, study: HermiteStudy, evaluation: EvaluationSettings): void {
  const { fixed, space } = study;
  const ends = (end: 'first' | 'last'): Params =>
    Object.fromEntries(
      [...space].map(([name, { parameter }]) => {
        const values = probes(parameter);
        return [name, values.at(end === 'first' ? 0 : -1) ?? null];
      }),
    );
  const placeOf = (key: string): Place =>
    fixed.places.get(key)?.place ?? space.get(key)?.value.place ?? study.root.place;
  const sets = [
    { params: ends('first'), placeOf },
    { params: ends('last'), placeOf },
    ...study.enqueue.map(({ params, places, whole }) => ({
      params,
      placeOf: (key: string) => places.get(key)?.place ?? whole?.place ?? study.root.place,
    })),
  ];
  const notices = new Set<string>();
  for (const set of sets) {
    const parsed = parseHermiteParams({ ...fixed.params, ...set.params }, evaluation);
    if (parsed.ok) for (const notice of parsed.notices) notices.add(notice);
    else for (const { key, message } of parsed.problems) context.problems.add(set.placeOf(key), message);
  }
  for (const notice of notices) context.problems.notice({ ...study.root.place, path: 'trainer' }, notice);
}
