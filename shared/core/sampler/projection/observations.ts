/**
 * The observations of one space, kept from suggestion to suggestion: a slot per trial that has all its parameters, with
 * its class on every table axis and its share on every coordinate axis. A running trial keeps its slot when it finishes;
 * the slot of one that vanishes is used again.
 */
import type { Space } from '../../space/parameter.js';
import type { EstimatorRules } from '../tpe/estimator-rules.js';
import { CellsAxis, gridPointsMax } from './cells-axis.js';
import { CoordinateAxis } from './coordinate-axis.js';
import { firstWhere, grown, inserted } from './growable.js';
import { choicesAxes, type TableAxis } from './screen-axis.js';
import { blockBytes } from './screen-program.js';
import { isScreenableCoordinate, isScreenableGrid } from './screenable.js';

export class Observations {
  readonly tables: readonly TableAxis[];
  readonly coordinates: readonly CoordinateAxis[];
  /** By slot, one per table axis: the address of the row of its class, counted from the first row. */
  rows = new Uint32Array(0);
  /** Shares by slot, one per coordinate axis, as the inner loop wants them. */
  centres = new Float32Array(0);
  /** First row of every table axis; the one after the last. Row 0 is the prior's. */
  readonly firstRow: number[];
  rowCount = 0;
  /** Grows whenever rows get other numbers. */
  rowsVersion = 0;
  /** Trial number by slot. */
  numbers = new Float64Array(0);
  /** Slots that were ever used. */
  slotCount = 0;
  /** The slots in use in number order, `count` of them. */
  order = new Uint32Array(0);
  count = 0;
  readonly #free: number[] = [];
  #isRunning = new Uint8Array(0);
  #isOutside = new Uint8Array(0);
  #outside = 0;
  readonly #isSpaceScreenable: boolean;
  /** Classes that every table axis has rows for. */
  readonly #room: number[];

  /** `space` without single parameters. */
  constructor(space: Space, rules: EstimatorRules) {
    const choices = [];
    const cells = [];
    const coordinates = [];
    let isScreenable = true;
    for (const [dimension, parameter] of space.entries()) {
      if (parameter.kind === 'categorical') {
        choices.push({ dimension, parameter });
        continue;
      }
      const { low, high, step, log } = parameter;
      const isTable = step !== null && (log || (high - low) / step < gridPointsMax);
      const isGood = isTable ? isScreenableGrid(parameter) : isScreenableCoordinate(parameter);
      if (!isGood) isScreenable = false;
      if (isTable) cells.push(new CellsAxis(dimension, parameter, step));
      else coordinates.push(new CoordinateAxis(dimension, parameter));
    }
    // What drops most kernels soonest comes first: with broad kernels the choices, with narrow ones the cells.
    const combined = choicesAxes(choices);
    this.tables = rules.bandwidth === 'scott' ? [...combined, ...cells] : [...cells, ...combined];
    this.coordinates = coordinates;
    this.#isSpaceScreenable = isScreenable;
    this.firstRow = this.tables.map(() => 0);
    this.#room = this.tables.map(() => 0);
  }

  /**
   * Whether the screen can judge all observations: it cannot do with parameters that doubles hardly resolve, nor with
   * values out of range on a coordinate axis.
   */
  get screenable(): boolean {
    return this.#isSpaceScreenable && this.#outside === 0;
  }

  /** Adds a trial's internal values, in space order; returns its slot. */
  add(number: number, point: ArrayLike<number>, isRunning: boolean): number {
    const slot = this.#free.pop() ?? this.slotCount++;
    this.numbers = grown(this.numbers, slot + 1);
    this.#isRunning = grown(this.#isRunning, slot + 1);
    this.#isOutside = grown(this.#isOutside, slot + 1);
    this.numbers[slot] = number;
    this.#isRunning[slot] = isRunning ? 1 : 0;
    this.#isOutside[slot] = this.#set(slot, point) ? 0 : 1;
    this.#outside += this.#isOutside[slot] ?? 0;
    this.order = inserted(this.order, this.count, this.#placeOf(slot), slot);
    this.count += 1;
    return slot;
  }

  /** The running trial in a slot has finished. */
  settle(slot: number): void {
    this.#isRunning[slot] = 0;
  }

  /** Kernel order: that of the trials' numbers. Both slots are in use. */
  isEarlier(a: number, b: number): boolean {
    const x = this.numbers[a] ?? 0;
    const y = this.numbers[b] ?? 0;
    return x === y ? this.#find(a) < this.#find(b) : x < y;
  }

  /** Where in the order a slot is. */
  #find(slot: number): number {
    const number = this.numbers[slot] ?? 0;
    let place = firstWhere(this.count, (i) => this.#numberAt(i) >= number);
    while (place < this.count && this.order[place] !== slot) place += 1;
    return place;
  }

  /** Takes out a trial; its slot may be used again. */
  remove(slot: number): void {
    const place = this.#find(slot);
    this.order.copyWithin(place, place + 1, this.count);
    this.count -= 1;
    this.#outside -= this.#isOutside[slot] ?? 0;
    this.#free.push(slot);
  }

  #numberAt(place: number): number {
    return this.numbers[this.order[place] ?? 0] ?? 0;
  }

  /** Where a slot belongs in number order; a finished trial comes before a running one of the same number. */
  #placeOf(slot: number): number {
    const number = this.numbers[slot] ?? 0;
    // Trials nearly always come in order.
    if (this.count === 0 || this.#numberAt(this.count - 1) < number) return this.count;
    const isRunning = this.#isRunning[slot] === 1;
    return firstWhere(this.count, (i) => {
      const other = this.#numberAt(i);
      return other > number || (other === number && !isRunning && this.#isRunning[this.order[i] ?? 0] === 1);
    });
  }

  #set(slot: number, point: ArrayLike<number>): boolean {
    const { tables, coordinates } = this;
    this.rows = grown(this.rows, (slot + 1) * tables.length);
    for (let t = 0; t < tables.length; t++) {
      const index = tables[t]?.classOf(point) ?? 0;
      if (index >= (this.#room[t] ?? 0)) this.#makeRoom(t);
      this.rows[slot * tables.length + t] = ((this.firstRow[t] ?? 0) + index) * blockBytes;
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

  /** The class of a slot on a table axis. */
  classOf(slot: number, t: number): number {
    return (this.rows[slot * this.tables.length + t] ?? 0) / blockBytes - (this.firstRow[t] ?? 0);
  }

  /** Doubles the rows of an axis; those of the later axes, and of this one, get new numbers in all slots so far. */
  #makeRoom(grownAxis: number): void {
    const old = [...this.firstRow];
    this.#room[grownAxis] = Math.max(2 * (this.#room[grownAxis] ?? 0), this.tables[grownAxis]?.classes ?? 0);
    let next = 1;
    this.firstRow.forEach((_, t) => {
      this.firstRow[t] = next;
      next += this.#room[t] ?? 0;
    });
    this.rowCount = next;
    this.rowsVersion += 1;
    const width = this.tables.length;
    for (let i = 0; i < this.slotCount * width; i++) {
      const t = i % width;
      this.rows[i] = (this.rows[i] ?? 0) + ((this.firstRow[t] ?? 0) - (old[t] ?? 0)) * blockBytes;
    }
  }
}
