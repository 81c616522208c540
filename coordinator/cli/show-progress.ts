import { finishedCount, type StudyView } from '../../shared/core/study/study.js';
import type { Log } from '../../shared/platform/log.js';
import type { AppContext } from '../app/context.js';
import { findTrial, finishedTrials } from '../app/finished-trials.js';
import { requireStudy, viewStudy } from '../app/study-view.js';
import { defaults } from '../config.js';
import { StorageUnavailable, type TrialRecord } from '../storage/port.js';
import type { StatusLine } from './status-line.js';
import { barLine, trialLine, type ProgressState } from './progress.js';

export interface ProgressOptions {
  readonly log: Log;
  readonly statusLine: StatusLine;
  readonly over: AbortSignal;
  /** End when trial after trial fails with an error and none completes. */
  readonly givesUp: boolean;
}

/**
 * Shows how a study goes until it is over or `over` aborts: on a terminal a bar that is redrawn, and the trials above
 * it; elsewhere one log line per finished trial. Failures of the store are waited out. Why it gave up, or null.
 */
export async function showProgress(
  context: AppContext,
  name: string,
  options: ProgressOptions,
): Promise<string | null> {
  const display = new Display(context, name, options);
  await display.begin();
  let hopeless: string | null;
  for (;;) {
    const study = await display.update();
    hopeless = options.givesUp ? display.hopeless : null;
    if (options.over.aborted || hopeless !== null) break;
    if (study?.state === 'FINISHED' || study?.state === 'STOPPED') break;
    // Never more often than this, however often something changes; and soon after something did.
    await context.clock.sleep(defaults.progressIntervalMs, options.over);
    await context.signal.wait(context.clock, defaults.progressPollMs, options.over);
  }
  display.end();
  return hopeless;
}

/** Trials that may fail in a row, before any has completed, until a run gives up. */
const failuresMax = 5;

class Display {
  readonly #context: AppContext;
  readonly #name: string;
  readonly #options: ProgressOptions;
  readonly #startedAtMs: number;
  #finishSequence = 0;
  #finishedBefore = 0;
  /** Trials that failed here with an error, while none completed; null once one did. */
  #failures: TrialRecord[] | null = [];

  constructor(context: AppContext, name: string, options: ProgressOptions) {
    this.#context = context;
    this.#name = name;
    this.#options = options;
    this.#startedAtMs = context.clock.nowMs();
  }

  /** Trials that finished before now are not shown one by one. */
  async begin(): Promise<void> {
    const study = await requireStudy(this.#context, this.#name);
    this.#finishSequence = study.finishSequence;
    this.#finishedBefore = study.finishSequence;
  }

  /** Draws what is new. Null while the store does not answer. */
  async update(): Promise<StudyView | null> {
    try {
      const finished = await finishedTrials(this.#context, this.#name, this.#finishSequence);
      const study = await viewStudy(this.#context, this.#name);
      const [first] = study.best;
      const best = first === undefined ? null : await findTrial(this.#context, this.#name, first);
      this.#draw(finished, {
        study,
        best,
        finishedHere: finishedCount(study.counts) - this.#finishedBefore,
        elapsedMs: this.#context.clock.nowMs() - this.#startedAtMs,
      });
      return study;
    } catch (error) {
      if (error instanceof StorageUnavailable) return null;
      throw error;
    }
  }

  /** What keeps going wrong, when the first trials all failed with an error; else null. */
  get hopeless(): string | null {
    const last = this.#failures?.at(-1);
    if (last === undefined || (this.#failures?.length ?? 0) < failuresMax) return null;
    return `the first ${failuresMax} trials all failed, the last with: ${last.message}`;
  }

  end(): void {
    this.#options.statusLine.end();
  }

  #draw(finished: readonly TrialRecord[], state: ProgressState): void {
    const { statusLine, log } = this.#options;
    for (const trial of finished) {
      this.#finishSequence = trial.finishSequence ?? this.#finishSequence;
      if (trial.state === 'COMPLETE') this.#failures = null;
      else if (trial.reason === 'error') this.#failures?.push(trial);
      log.info({}, trialLine(trial, state));
    }
    if (statusLine.shown) statusLine.show(barLine(state, statusLine.width));
  }
}
