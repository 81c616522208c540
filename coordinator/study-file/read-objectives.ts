/**
 * Objectives, in one of three forms:
 *
 *   direction: maximize                          one objective, named `score`
 *   objective: { auc: 0.70, dir_acc: 0.30 }
 *
 *   directions: [maximize, minimize]             several, named by the keys, in the order of `directions`
 *   objective: { quality: { auc: 1 }, risk: { max_drawdown: 1 } }
 *
 *   objectives:                                  several, each with all it needs
 *     - { name: quality, direction: maximize, weights: { auc: 1 } }
 *     - { name: risk, direction: minimize, weights: { max_drawdown: 1 } }
 *
 * An objective's value is the sum of weight times metric.
 */
import { isMap } from 'yaml';
import type { Direction } from '../../shared/core/sampler/sampler.js';
import type { Objective } from '../../shared/core/study/definition.js';
import { studyFileLimits } from './limits.js';
import { readList, readMap, readNumber, readText, readWord, shown } from './map-reader.js';
import type { Located, MapReader, ReadContext } from './map-reader.js';
import { isUsableName, nameRule } from './names.js';

const directions: readonly Direction[] = ['minimize', 'maximize'];
const soleName = 'score';

/** The objectives of the file, in order. With problems the list may be shorter than meant. */
export function readObjectives(context: ReadContext, root: MapReader): Objective[] {
  const direction = root.find('direction');
  const several = root.find('directions');
  const objective = root.find('objective');
  const objectives = root.find('objectives');
  const refuse = (value: Located | null, message: string): void => {
    if (value !== null) context.problems.add(value.place, message);
  };
  if (objectives !== null) {
    for (const value of [direction, several, objective])
      refuse(value, "has no place beside 'objectives'; each of those has its own direction and weights");
    return readObjectiveList(context, objectives);
  }
  if (direction !== null && several !== null)
    refuse(
      several,
      "is given beside 'direction'; keep 'direction' for one objective, 'directions' for several",
    );
  if (direction === null && several === null)
    context.problems.add(root.place, 'direction is missing; expected maximize or minimize');
  const wanted = 'a map from metric to weight, such as { auc: 0.7, dir_acc: 0.3 }';
  const weights = root.require('objective', wanted);
  // With both given, the shape of 'objective' tells which was meant.
  const isNested = isMap(weights?.node) && weights.node.items.some(({ value }) => isMap(value));
  if (several !== null && (direction === null || isNested))
    return readNamedObjectives(context, several, weights);
  const read = direction === null ? null : readWord(context, direction, directions);
  return weights === null ? [] : [makeObjective(context, { name: soleName, direction: read, weights })];
}

function readObjectiveList(context: ReadContext, value: Located): Objective[] {
  const items = readList(context, value, studyFileLimits.objectivesMax);
  if (items === null || isEmptyList(context, value, items)) return [];
  const names = new Set<string>();
  return items.flatMap((item) => {
    const map = readMap(context, item);
    if (map === null) return [];
    const nameValue = map.require('name', 'the name of the objective');
    const directionValue = map.require('direction', 'maximize or minimize');
    const weights = map.require('weights', 'a map from metric to weight');
    map.finish();
    const name = nameValue === null ? null : readText(context, nameValue, nameRule);
    if (name !== null && nameValue !== null) checkName(context, nameValue, name, names);
    const direction = directionValue === null ? null : readWord(context, directionValue, directions);
    return weights === null ? [] : [makeObjective(context, { name: name ?? soleName, direction, weights })];
  });
}

function readNamedObjectives(context: ReadContext, value: Located, weights: Located | null): Objective[] {
  const items = readList(context, value, studyFileLimits.objectivesMax);
  if (items === null || isEmptyList(context, value, items)) return [];
  const read = items.map((item) => readWord(context, item, directions));
  const map = weights === null ? null : readMap(context, weights);
  if (map === null) return [];
  const names = map.keys();
  if (names.length !== read.length)
    context.problems.add(
      value.place,
      `has ${read.length} entries, but 'objective' names ${names.length} objectives; they must be as many`,
    );
  const seen = new Set<string>();
  return names.flatMap((name, index) => {
    const item = map.find(name);
    if (item === null) return [];
    if (!isMap(item.node)) {
      const wanted = 'a map from metric to weight, because directions names several objectives';
      context.problems.add(item.place, `is ${shown(item)}, expected ${wanted}`);
      return [];
    }
    checkName(context, item, name, seen);
    return [makeObjective(context, { name, direction: read[index] ?? null, weights: item })];
  });
}

function isEmptyList(context: ReadContext, value: Located, items: readonly unknown[]): boolean {
  if (items.length > 0) return false;
  context.problems.add(value.place, 'has no entries; a study needs at least one objective');
  return true;
}

function checkName(context: ReadContext, value: Located, name: string, names: Set<string>): void {
  if (!isUsableName(name))
    context.problems.add(value.place, `the name ${name} cannot be used; choose another`);
  if (names.has(name)) context.problems.add(value.place, `the name ${name} is used twice; names must differ`);
  names.add(name);
}

interface ObjectiveParts {
  readonly name: string;
  readonly direction: Direction | null;
  readonly weights: Located;
}

function makeObjective(context: ReadContext, parts: ObjectiveParts): Objective {
  const weights: Record<string, number> = {};
  const map = readMap(context, parts.weights);
  for (const metric of map?.keys() ?? []) {
    const value = map?.find(metric) ?? null;
    if (value === null) continue;
    if (!isUsableName(metric)) {
      context.problems.add(
        value.place,
        `the metric name ${JSON.stringify(metric)} is not ${nameRule.wanted}`,
      );
      continue;
    }
    const weight = readNumber(context, value, {});
    if (weight === 0) context.problems.add(value.place, 'is 0, which has no effect; remove the metric');
    weights[metric] = weight ?? 0;
  }
  if (map?.keys().length === 0)
    context.problems.add(parts.weights.place, 'names no metric; expected one such as { auc: 1 }');
  return { name: parts.name, direction: parts.direction ?? 'maximize', weights };
}
