/**
 * The joint spaces of a study whose trials finish in any order. They depend on the order of the trials' numbers only
 * through the first trial of each kind, so trials of one kind are folded once (`tpe/joint-space.ts`).
 */
import type { Parameter, Space } from '../../space/parameter.js';
import { GroupSpaces, IntersectionSpace } from '../tpe/joint-space.js';

interface TrialKind {
  first: number;
  readonly parameters: Space;
}

export class JointSpaceIndex {
  readonly #isGrouped: boolean;
  /** Short names of the study's own parameters, which nearly every trial has. */
  readonly #shortNames: ReadonlyMap<Parameter, string>;
  readonly #kinds = new Map<string, TrialKind>();
  #isStale = false;
  #current: readonly Space[] = [];

  constructor(space: Space, group: boolean) {
    this.#shortNames = new Map(space.map((parameter, i) => [parameter, String(i)]));
    this.#isGrouped = group;
  }

  /** Takes in a finished trial's parameters, with the distributions that it was asked with. */
  add(number: number, parameters: readonly Parameter[]): void {
    const signature = parameters
      .map((parameter) => this.#shortNames.get(parameter) ?? JSON.stringify(parameter))
      .join();
    const kind = this.#kinds.get(signature);
    if (kind !== undefined && kind.first < number) return;
    if (kind === undefined) this.#kinds.set(signature, { first: number, parameters });
    else kind.first = number;
    this.#isStale = true;
  }

  /** The non-empty joint spaces; the same objects for as long as they stay the same. */
  current(): readonly Space[] {
    if (!this.#isStale) return this.#current;
    this.#isStale = false;
    const spaces = this.#isGrouped ? new GroupSpaces() : new IntersectionSpace();
    const kinds = [...this.#kinds.values()].sort((a, b) => a.first - b.first);
    for (const { parameters } of kinds) spaces.fold(parameters);
    const fresh = spaces.spaces();
    if (JSON.stringify(fresh) !== JSON.stringify(this.#current)) this.#current = fresh;
    return this.#current;
  }
}
