/** How the rows of a mixture come about: written, filled from tables of masses, or multiplied from other rows. */
import type { Block, ScreenMemory } from './screen-memory.js';
import { blockLanes, fillJobWords, multiplyJobWords } from './screen-program.js';

export class RowPlan {
  /** Where written rows go: candidate j is in lane j mod 16 of block ⌊j / 16⌋. */
  readonly blocks: readonly Block[];
  /** Rows that were written; another block needs copies of them. */
  readonly writtenRows: number[] = [];
  readonly #memory: ScreenMemory;
  #fills = 0;
  #multiplications = 0;
  #masses = 0;

  constructor(memory: ScreenMemory) {
    this.#memory = memory;
    this.blocks = memory.wide;
  }

  /** Writes a row: what it says about every candidate, or one number for all. */
  write(row: number, values: ArrayLike<number> | number): void {
    this.writtenRows.push(row);
    const start = row * blockLanes;
    for (let b = 0; b < this.blocks.length; b++) {
      const block = this.blocks[b];
      if (block === undefined) continue;
      if (typeof values === 'number') block.rows.fill(values, start, start + block.used);
      else for (let j = 0; j < block.used; j++) block.rows[start + j] = values[b * blockLanes + j] ?? 0;
    }
  }

  /** Changes one entry of a written row. */
  put(row: number, candidate: number, value: number): void {
    const block = this.blocks[Math.trunc(candidate / blockLanes)];
    if (block !== undefined) block.rows[row * blockLanes + (candidate % blockLanes)] = value;
  }

  /** Puts a table of masses down; returns its address. */
  table(masses: Float32Array): number {
    const start = this.#masses;
    this.#memory.masses.set(masses, start);
    this.#masses += masses.length;
    return this.#memory.massesAddress + 4 * start;
  }

  /** The row becomes, for every candidate, the entry of a table at its position on an axis, times both factors. */
  fill(row: number, address: number, axis: number, factor: number): void {
    const at = this.#fills * fillJobWords;
    const { fillJobs, fillJobFactors } = this.#memory;
    fillJobs[at] = row;
    fillJobs[at + 1] = address;
    fillJobs[at + 2] = axis;
    fillJobFactors[at + 3] = factor;
    this.#fills += 1;
  }

  /** The row becomes the product of two others; these must be written, filled, or multiplied before. */
  multiply(row: number, a: number, b: number): void {
    const at = this.#multiplications * multiplyJobWords;
    const { multiplyJobs } = this.#memory;
    multiplyJobs[at] = row;
    multiplyJobs[at + 1] = a;
    multiplyJobs[at + 2] = b;
    this.#multiplications += 1;
  }

  /** Makes all planned rows of a block; what is written must be there. */
  carryOut(block: Block): void {
    this.#memory.fillRows(block, this.#fills, this.#multiplications);
  }
}
