/** How the rows of a mixture come about: written, filled from tables of masses, or multiplied from other rows. */
import type { Region, ScreenMemory } from './screen-memory.js';
import { fillJobWords, multiplyJobWords } from './screen-program.js';

export class RowPlan {
  /** Where written rows go. */
  readonly region: Region;
  /** Rows that were written; a narrower region needs copies of them. */
  readonly writtenRows: number[] = [];
  readonly #memory: ScreenMemory;
  #fills = 0;
  #multiplications = 0;
  #masses = 0;

  constructor(memory: ScreenMemory) {
    this.#memory = memory;
    this.region = memory.wide;
  }

  /** Notes a row that the caller writes; returns the position of its first entry. */
  written(row: number): number {
    this.writtenRows.push(row);
    return row * this.region.stride;
  }

  /** Puts a table of masses down; returns its address. */
  table(masses: Float32Array): number {
    const start = this.#masses;
    this.#memory.masses.set(masses, start);
    this.#masses += masses.length;
    return this.#memory.massesAddress + 4 * start;
  }

  /** The row becomes, for every candidate, the entry of a table at its position on an axis, times both factors. */
  fill(row: number, table: { address: number; axis: number }, factor: number): void {
    const at = this.#fills * fillJobWords;
    this.#memory.fillJobs[at] = row;
    this.#memory.fillJobs[at + 1] = table.address;
    this.#memory.fillJobs[at + 2] = table.axis;
    this.#memory.fillJobFactors[at + 3] = factor;
    this.#fills += 1;
  }

  /** The row becomes the product of two others; these must be written, filled, or multiplied before. */
  multiply(row: number, a: number, b: number): void {
    const at = this.#multiplications * multiplyJobWords;
    this.#memory.multiplyJobs[at] = row;
    this.#memory.multiplyJobs[at + 1] = a;
    this.#memory.multiplyJobs[at + 2] = b;
    this.#multiplications += 1;
  }

  /** Makes all planned rows of a region; what is written must be there. */
  carryOut(region: Region): void {
    this.#memory.fillRows(region, this.#fills, this.#multiplications);
  }
}
