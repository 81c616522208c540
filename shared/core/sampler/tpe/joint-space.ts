/**
 * The joint search spaces, folded from the finished trials one by one (tpe.md §5). Single parameters are left out and
 * names sorted, so the order in which a study defines its parameters does not matter for the joint model.
 */
import { isSingle, parametersEqual } from '../../space/make-parameter.js';
import type { Parameter, Space } from '../../space/parameter.js';

/** Order of names by code points, as Optuna sorts them. */
function compareNames(a: Parameter, b: Parameter): number {
  const x = Array.from(a.name, (letter) => letter.codePointAt(0) ?? 0);
  const y = Array.from(b.name, (letter) => letter.codePointAt(0) ?? 0);
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    const difference = (x[i] ?? 0) - (y[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return x.length - y.length;
}

/** The parameters that are modelled, sorted by name. */
function modelled(parameters: Iterable<Parameter>): Space {
  return [...parameters].filter((parameter) => !isSingle(parameter)).sort(compareNames);
}

/** Spaces that are each sampled jointly and independently of each other. */
export interface JointSpaces {
  /** Takes in one finished trial's parameters; trials must come in number order. */
  fold(parameters: Space): void;
  /** The non-empty spaces in the order in which they are sampled. */
  spaces(): Space[];
}

/** One space: the parameters that every finished trial has, with equal distribution. It can only shrink. */
export class IntersectionSpace implements JointSpaces {
  #common: Space | null = null;

  fold(parameters: Space): void {
    const byName = new Map(parameters.map((parameter) => [parameter.name, parameter]));
    this.#common = (this.#common ?? parameters).filter((parameter) => {
      const other = byName.get(parameter.name);
      return other !== undefined && parametersEqual(parameter, other);
    });
  }

  spaces(): Space[] {
    const space = modelled(this.#common ?? []);
    return space.length > 0 ? [space] : [];
  }
}

/**
 * Disjoint groups of parameters that have always occurred together. A name keeps the distribution it was first seen
 * with. Folding a trial in twice changes nothing.
 */
export class GroupSpaces implements JointSpaces {
  #groups: Map<string, Parameter>[] = [];

  fold(parameters: Space): void {
    const rest = new Map(parameters.map((parameter) => [parameter.name, parameter]));
    const next: Map<string, Parameter>[] = [];
    for (const group of this.#groups) {
      const entries = [...group];
      next.push(new Map(entries.filter(([name]) => rest.has(name))));
      next.push(new Map(entries.filter(([name]) => !rest.has(name))));
      for (const name of group.keys()) rest.delete(name);
    }
    next.push(rest);
    this.#groups = next.filter((group) => group.size > 0);
  }

  spaces(): Space[] {
    return this.#groups.map((group) => modelled(group.values())).filter((space) => space.length > 0);
  }
}
