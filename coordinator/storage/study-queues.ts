/**
 * Lets one transaction per study run at a time in this process; the others wait here and not in the database, where
 * each would hold a connection while it waits for the row lock.
 */
export class StudyQueues {
  /** The end of each study's queue. */
  readonly #ends = new Map<number, Promise<unknown>>();

  /** Runs `work` when all earlier work on this study has settled; settles as it does. */
  run<T>(study: number, work: () => Promise<T>): Promise<T> {
    const result = (this.#ends.get(study) ?? Promise.resolve()).then(work);
    const end = result.then(
      () => undefined,
      () => undefined,
    );
    this.#ends.set(study, end);
    void end.then(() => {
      if (this.#ends.get(study) === end) this.#ends.delete(study);
    });
    return result;
  }
}
