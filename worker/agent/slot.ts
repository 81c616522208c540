/** One slot of a worker: asks for a trial, runs it, tells how it went, and again. */
import { NothingToDo_Reason } from '../../shared/wire/gen/parzen/v1/trial.js';
import { idlePauseMs, unfitMax, unfitPauseMs } from '../limits.js';
import { ask, giveBack, hold } from './ask.js';
import { AskAhead } from './ask-ahead.js';
import { withEither } from './either-signal.js';
import { runAttempt } from './run-attempt.js';
import { about, traceAttempt, type HeldTrial, type SlotOptions } from './slot-options.js';
import { tellResult, type ToldResult } from './tell-result.js';
import { WorkerUnfit } from './worker-unfit.js';

/**
 * Works until `stopping` aborts and the running trial has ended, or is given back when `ending` aborts. Rejects with
 * `WorkerUnfit` after several trials in a row that this machine could not even start (they are given back uncounted), and
 * for bugs and calls that the coordinator refuses.
 */
export async function runSlot(options: SlotOptions): Promise<void> {
  const slot = new Slot(options);
  try {
    await slot.work();
  } finally {
    await slot.close();
  }
}

class Slot {
  readonly #options: SlotOptions;
  readonly #ahead: AskAhead;
  /** The result on its way; the next trial does not wait for it, the next result does. */
  #telling: Promise<void> = Promise.resolve();
  #unfitInARow = 0;
  #lastEndedAtMs: number | null = null;

  constructor(options: SlotOptions) {
    this.#options = options;
    this.#ahead = new AskAhead(options);
  }

  async work(): Promise<void> {
    const { stopping } = this.#options;
    while (!stopping.aborted) {
      const held = (await this.#ahead.take()) ?? (await this.#askNow());
      if (held !== null) await this.#run(held);
    }
    await this.#telling;
  }

  /** Waits for what is under way; gives back what was asked for ahead. Never rejects. */
  async close(): Promise<void> {
    await Promise.all([this.#ahead.close(), this.#telling.catch(() => undefined)]);
  }

  /** Null when there is nothing to do for now, after a pause. */
  async #askNow(): Promise<HeldTrial | null> {
    const { clock, stopping, register } = this.#options;
    // What was told before is known to the sampler then.
    await this.#telling;
    const outcome = await ask(this.#options, false);
    if (outcome?.$case === 'assignment') return hold(this.#options, outcome.value);
    if (outcome?.value.reason === NothingToDo_Reason.UNKNOWN_WORKER) await register();
    else await clock.sleep(idlePauseMs, stopping);
    return null;
  }

  /** Runs one trial; its result may still be on its way afterwards. */
  async #run(held: HeldTrial): Promise<void> {
    const { clock, log, stopping, ending } = this.#options;
    // A trial that waited here may have been taken back, or the worker told to stop, in the meantime.
    if (held.signal.reason === 'lost') {
      this.#dropLost(held);
      return;
    }
    if (stopping.aborted) {
      await giveBack(this.#options, held, 'unstarted');
      return;
    }
    const startedAtMs = clock.nowMs();
    const idleMs = this.#lastEndedAtMs === null ? null : startedAtMs - this.#lastEndedAtMs;
    log.debug({ ...about(this.#options, held.assignment), idleMs }, 'trial started');
    this.#ahead.trialStarts();
    const result = await withEither([held.signal, ending], (either) =>
      runAttempt(this.#options, held, either),
    );
    const endedAtMs = clock.nowMs();
    this.#lastEndedAtMs = endedAtMs;
    this.#ahead.trialEnded(endedAtMs - startedAtMs);
    this.#options.tracer?.record({
      ...{ name: 'run', token: held.assignment.leaseToken, startMs: startedAtMs, endMs: endedAtMs },
      attributes: { ...about(this.#options, held.assignment), outcome: result.kind },
    });
    const seconds = Math.round((endedAtMs - startedAtMs) / 100) / 10;
    if (result.kind === 'unfit') {
      await this.#unfit(held, result.message);
      return;
    }
    this.#unfitInARow = 0;
    // A result that came in spite of the loss is told: the coordinator keeps it as evidence.
    if (result.kind === 'stopped' && held.signal.reason === 'lost') this.#dropLost(held);
    else if (result.kind === 'stopped' && ending.aborted) await giveBack(this.#options, held, 'stopped');
    else await this.#tell(held, result, { seconds });
  }

  #dropLost(held: HeldTrial): void {
    const { assignment } = held;
    this.#options.log.warn(about(this.#options, assignment), 'lease lost; trial dropped');
    this.#options.leases.drop(assignment.leaseToken);
    traceAttempt(this.#options, held, { reason: 'lost', failed: true });
  }

  async #tell(held: HeldTrial, result: ToldResult, fields: { readonly seconds: number }): Promise<void> {
    await this.#telling;
    this.#telling = tellResult(this.#options, held, { result, fields });
    // Whoever waits for it meets its failure.
    this.#telling.catch(() => undefined);
  }

  /** This machine could not run the trial at all. */
  async #unfit(held: HeldTrial, message: string): Promise<void> {
    const { clock, log, stopping } = this.#options;
    log.error(
      { ...about(this.#options, held.assignment), reason: message },
      'this worker cannot run the trial',
    );
    await Promise.all([giveBack(this.#options, held, 'unfit'), this.#ahead.close()]);
    this.#unfitInARow += 1;
    if (this.#unfitInARow >= unfitMax) throw new WorkerUnfit(message);
    await clock.sleep(unfitPauseMs * 2 ** (this.#unfitInARow - 1), stopping);
  }
}
