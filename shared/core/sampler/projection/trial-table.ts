/** The finished trials of a study by column: internal values per parameter name, NaN where a trial has none. */
import type { Parameter, Space } from '../../space/parameter.js';
import type { FinishedTrial } from '../sampler.js';
import { internalValue, trialParameters, valueOf } from '../trial-parameters.js';
import { grown } from './growable.js';

export class TrialTable {
  /** Rows: trials in the order in which they were taken in. */
  count = 0;
  /** The study's space. */
  readonly space: Space;
  #numbers = new Float64Array(0);
  readonly #columns = new Map<string, Float64Array<ArrayBuffer>>();

  constructor(space: Space) {
    this.space = space;
  }

  number(row: number): number {
    return this.#numbers[row] ?? 0;
  }

  /** Internal values of a parameter by row, at least as many as there are rows. */
  column(name: string): Float64Array {
    const column = this.#columns.get(name) ?? new Float64Array(0);
    if (column.length >= this.count && this.#columns.has(name)) return column;
    return this.#extended(name);
  }

  /** The column with room for every row, NaN where nothing was set. */
  #extended(name: string): Float64Array<ArrayBuffer> {
    const old = this.#columns.get(name) ?? new Float64Array(0);
    const column = grown(old, Math.max(this.count, 1));
    if (column !== old) {
      column.fill(NaN, old.length);
      this.#columns.set(name, column);
    }
    return column;
  }

  /**
   * Adds a trial; returns its parameters with the distributions that it was asked with. Throws a `SamplerError`, adding
   * nothing, for a value its parameter could not have or a parameter that cannot stand beside the study's.
   */
  add(trial: FinishedTrial): Parameter[] {
    const parameters = trialParameters(trial, this.space);
    const values = parameters.map((parameter) =>
      internalValue(parameter, valueOf(trial.params, parameter.name) ?? null, `trial ${trial.number}`),
    );
    const row = this.count;
    this.count += 1;
    this.#numbers = grown(this.#numbers, this.count);
    this.#numbers[row] = trial.number;
    parameters.forEach((parameter, i) => {
      this.#extended(parameter.name)[row] = values[i] ?? NaN;
    });
    return parameters;
  }
}
