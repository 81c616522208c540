/**
 * The observations of one space, kept from suggestion to suggestion: a slot per trial that has all its parameters, with
 * its class on every table axis and its share on every coordinate axis. Lasting slots are finished trials and only ever
 * added; after them come the running trials of the present suggestion, which the next one replaces.
 */
import type { Space } from '../../space/parameter.js';
import type { EstimatorRules } from '../tpe/estimator-rules.js';
import { CellsAxis, gridPointsMax } from './cells-axis.js';
import { CoordinateAxis } from './coordinate-axis.js';
import { firstWhere, grown, inserted } from './growable.js';
import { choicesAxes, type TableAxis } from './screen-axis.js';

export class Observations {
  readonly tables: readonly TableAxis[];
  readonly coordinates: readonly CoordinateAxis[];
  /** Row numbers by slot, one per table axis: where the axis's rows begin, plus the class. */
  rows = new Uint32Array(0);
  /** Shares by slot, one per coordinate axis, as the inner loop wants them. */
  centres = new Float32Array(0);
  /** First row of every table axis; the one after the last. Row 0 is the prior's. */
  readonly firstRow: number[];
  rowCount = 0;
  /** Trial number by slot. */
  numbers = new Float64Array(0);
  /** Lasting slots. */
  count = 0;
  /** Whether every value on a coordinate axis lies in range; the screen cannot do with others. */
  #inRange = true;
  readonly #sorts: boolean;
  /** Classes that every table axis has rows for. */
  readonly #room: number[];
  /** Lasting slots in number order. */
  #order = new Uint32Array(0);
  #temporary: number[] = [];
  #temporaryInRange = true;

  /** `space` without single parameters. */
  constructor(space: Space, rules: EstimatorRules) {
    const choices = [];
    const cells = [];
    const coordinates = [];
    for (const [dimension, parameter] of space.entries()) {
      if (parameter.kind === 'categorical') {
        choices.push({ dimension, parameter });
        continue;
      }
      const { low, high, step, log } = parameter;
      const isTable = step !== null && (log || (high - low) / step < gridPointsMax);
      if (isTable) cells.push(new CellsAxis(dimension, parameter, step));
      else coordinates.push(new CoordinateAxis(dimension, parameter));
    }
    // What drops most kernels soonest comes first: with broad kernels the choices, with narrow ones the cells.
    const combined = choicesAxes(choices);
    this.tables = rules.bandwidth === 'scott' ? [...combined, ...cells] : [...cells, ...combined];
    this.coordinates = coordinates;
    this.firstRow = this.tables.map(() => 0);
    this.#room = this.tables.map(() => 0);
    this.#sorts = rules.bandwidth === 'neighbour';
  }

  /** Adds a finished trial's internal values, in space order. */
  add(number: number, point: ArrayLike<number>): void {
    const slot = this.count;
    if (!this.#set(slot, number, point)) this.#inRange = false;
    const place = firstWhere(slot, (i) => (this.numbers[this.#order[i] ?? 0] ?? 0) > number);
    this.#order = inserted(this.#order, slot, place, slot);
    this.count += 1;
    if (this.#sorts) for (const axis of this.coordinates) axis.sortIn(slot, this.#isBefore(axis));
  }

  /** Replaces the running trials; given in number order. */
  setRunning(running: readonly { readonly number: number; readonly point: ArrayLike<number> }[]): void {
    this.#temporary = running.map((_, i) => this.count + i);
    this.#temporaryInRange = true;
    running.forEach(({ number, point }, i) => {
      if (!this.#set(this.count + i, number, point)) this.#temporaryInRange = false;
    });
  }

  /** Whether the screen can judge all observations, running ones included. */
  get screenable(): boolean {
    return this.#inRange && this.#temporaryInRange;
  }

  /** Slots, running trials included. */
  get total(): number {
    return this.count + this.#temporary.length;
  }

  #set(slot: number, number: number, point: ArrayLike<number>): boolean {
    this.numbers = grown(this.numbers, slot + 1);
    this.numbers[slot] = number;
    const { tables, coordinates } = this;
    this.rows = grown(this.rows, (slot + 1) * tables.length);
    // Written as plain loops: every running trial passes here for every suggestion.
    for (let t = 0; t < tables.length; t++) {
      const index = tables[t]?.classOf(point) ?? 0;
      if (index >= (this.#room[t] ?? 0)) this.#makeRoom(slot, t);
      this.rows[slot * tables.length + t] = (this.firstRow[t] ?? 0) + index;
    }
    this.centres = grown(this.centres, (slot + 1) * coordinates.length);
    let isInRange = true;
    for (let c = 0; c < coordinates.length; c++) {
      const axis = coordinates[c];
      if (axis === undefined) continue;
      if (!axis.set(slot, point[axis.dimension] ?? 0)) isInRange = false;
      this.centres[slot * coordinates.length + c] = axis.shares[slot] ?? 0;
    }
    return isInRange;
  }

  /** Doubles the rows of an axis; those of the later axes, and of this one, get new numbers in all slots so far. */
  #makeRoom(slots: number, grownAxis: number): void {
    const old = [...this.firstRow];
    this.#room[grownAxis] = Math.max(2 * (this.#room[grownAxis] ?? 0), this.tables[grownAxis]?.classes ?? 0);
    let next = 1;
    this.firstRow.forEach((_, t) => {
      this.firstRow[t] = next;
      next += this.#room[t] ?? 0;
    });
    this.rowCount = next;
    const width = this.tables.length;
    for (let i = 0; i < (slots + 1) * width; i++) {
      const t = i % width;
      this.rows[i] = (this.rows[i] ?? 0) - (old[t] ?? 0) + (this.firstRow[t] ?? 0);
    }
  }

  /** Order on a coordinate axis, ties by trial number, as bandwidths want it (tpe.md §7.3). */
  #isBefore(axis: CoordinateAxis): (a: number, b: number) => boolean {
    return (a, b) => {
      const x = axis.shares[a] ?? 0;
      const y = axis.shares[b] ?? 0;
      return x < y || (x === y && (this.numbers[a] ?? 0) < (this.numbers[b] ?? 0));
    };
  }

  /** All slots that are not good, running ones among them, in number order. */
  badSlots(isGood: Uint8Array): Uint32Array {
    const { numbers } = this;
    const slots = new Uint32Array(this.count + this.#temporary.length);
    let length = 0;
    let running = 0;
    for (let i = 0; i < this.count; i++) {
      const slot = this.#order[i] ?? 0;
      if (isGood[slot] === 1) continue;
      while (running < this.#temporary.length) {
        const next = this.#temporary[running] ?? 0;
        if ((numbers[next] ?? 0) > (numbers[slot] ?? 0)) break;
        slots[length++] = next;
        running += 1;
      }
      slots[length++] = slot;
    }
    for (; running < this.#temporary.length; running++) slots[length++] = this.#temporary[running] ?? 0;
    return slots.subarray(0, length);
  }

  /** The slots of one mixture in ascending order on a coordinate axis: good ones, or bad and running ones. */
  sortedSlots(axis: CoordinateAxis, isGood: Uint8Array, good: boolean): Uint32Array {
    const isBefore = this.#isBefore(axis);
    const running = good ? [] : [...this.#temporary].sort((a, b) => (isBefore(a, b) ? -1 : 1));
    const slots = new Uint32Array(this.count + running.length);
    let length = 0;
    let next = 0;
    for (let i = 0; i < this.count; i++) {
      const slot = axis.sorted[i] ?? 0;
      if ((isGood[slot] === 1) !== good) continue;
      for (; next < running.length && isBefore(running[next] ?? 0, slot); next++) {
        slots[length++] = running[next] ?? 0;
      }
      slots[length++] = slot;
    }
    for (; next < running.length; next++) slots[length++] = running[next] ?? 0;
    return slots.subarray(0, length);
  }
}
