/** Values given to parameters: the `fixed` section and the entries of `enqueue`. */
import { contains, describeValues, toInternal } from '../../shared/core/space/parameter-values.js';
import type { ParameterValue, Params } from '../../shared/core/space/parameter.js';
import { didYouMean } from './did-you-mean.js';
import { studyFileLimits } from './limits.js';
import { readList, readMap, readValue, shown, type Located } from './map-reader.js';
import type { MapReader, ReadContext } from './map-reader.js';
import { isUsableName, nameRule } from './names.js';
import type { LocatedSpace } from './read-space.js';

/** Names listed in a message; more would hide it. */
const namesShownMax = 30;

/** Values by name, with the places where they stand. */
export interface LocatedParams {
  readonly params: Params;
  readonly places: ReadonlyMap<string, Located>;
  /** The place of the whole. */
  readonly whole: Located | null;
}

/** The `fixed` section; empty without it. A name that is searched as well is a mistake. */
export function readFixed(context: ReadContext, root: MapReader, space: LocatedSpace): LocatedParams {
  const whole = root.find('fixed');
  const map = whole === null ? null : readMap(context, whole);
  return readEach(context, { map, whole }, (name, located, value) => {
    if (!isUsableName(name)) context.problems.add(located.place, `the name is not ${nameRule.wanted}`);
    if (space.names.has(name))
      context.problems.add(located.place, 'is fixed here and searched in space; keep one of the two');
    return value;
  });
}

/** The entries of `enqueue`: names of the space only, values as given; one off the grid is allowed and noticed. */
export function readEnqueue(
  context: ReadContext,
  root: MapReader,
  { space, fixed }: { readonly space: LocatedSpace; readonly fixed: Params },
): LocatedParams[] {
  const list = root.find('enqueue');
  const items = list === null ? null : readList(context, list, studyFileLimits.enqueueMax);
  return (items ?? []).map((whole) => {
    const map = readMap(context, whole);
    return readEach(context, { map, whole }, (name, located, value) => {
      const parameter = space.parameters.get(name)?.parameter;
      // A parameter whose own definition is wrong has been reported there.
      if (parameter === undefined && space.names.has(name)) return undefined;
      if (parameter === undefined) {
        // Beyond what is shown, the remedy need not be found: with many entries and parameters that takes minutes.
        const message = context.problems.isFull()
          ? 'is not a parameter of space'
          : unknownParameter(name, space, fixed);
        context.problems.add(located.place, message);
        return undefined;
      }
      const internal = toInternal(parameter, value);
      if (internal === null) {
        context.problems.add(located.place, `is ${shown(located)}, expected ${describeValues(parameter)}`);
        return undefined;
      }
      if (!contains(parameter, internal))
        context.problems.notice(
          located.place,
          `${shown(located)} is not ${describeValues(parameter)}; it is used as given and the trial is marked`,
        );
      return value;
    });
  });
}

function unknownParameter(name: string, space: LocatedSpace, fixed: Params): string {
  if (Object.hasOwn(fixed, name)) return 'is fixed for all trials; remove it here or from fixed';
  const meant = didYouMean(name, space.names);
  const hint =
    meant === null
      ? `space has ${[...space.names].slice(0, namesShownMax).join(', ')}`
      : `did you mean ${meant}?`;
  return `is not a parameter of space; ${hint}`;
}

/** Reads every value of a map; `accept` returns the value to keep, or undefined for none. */
function readEach(
  context: ReadContext,
  { map, whole }: { readonly map: MapReader | null; readonly whole: Located | null },
  accept: (name: string, located: Located, value: ParameterValue) => ParameterValue | undefined,
): LocatedParams {
  const params: [string, ParameterValue][] = [];
  const places = new Map<string, Located>();
  const names = map?.keys() ?? [];
  const most = studyFileLimits.parametersMax;
  if (whole !== null && names.length > most) {
    context.problems.add(whole.place, `has ${names.length} entries, at most ${most} are allowed`);
    return { params: {}, places, whole };
  }
  for (const name of names) {
    const located = map?.find(name) ?? null;
    const read = located === null ? undefined : readValue(context, located);
    if (located === null || read === undefined) continue;
    const value = accept(name, located, read);
    if (value === undefined) continue;
    params.push([name, value]);
    places.set(name, located);
  }
  return { params: Object.fromEntries(params), places, whole };
}
