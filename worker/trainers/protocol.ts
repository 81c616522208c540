/**
 * The messages between a worker's slot and its trainer process (architecture §8), over `child_process.fork` with
 * `serialization: 'advanced'`, so that NaN and infinities in metrics survive.
 *
 * Start:  `fork(child.js, [trainer, runtime])`, trainer `hermite` or `instant`, runtime `auto` (the default) or a name.
 * Order:  child `ready` once, then for each `run` any number of `report` and exactly one of `done`, `failed`, `stopped`.
 *         A `failed` before `ready` means that the trainer cannot start at all (its message says why); the process ends
 *         with exit code `childExitCodes.cannotStart`.
 * Stop:   `stop` ends the running trial at its next report or optimiser step with `stopped`; without a running trial it
 *         is ignored. The answer to a report is nothing (go on) or `stop`, at any later time.
 * Memory: after `failed` with reason `oom` the child's heap cannot be trusted: the process ends with
 *         `childExitCodes.outOfMemory` and has to be replaced.
 * Death:  the child exits at once when the channel closes, so that it never outlives its worker. A child that ends
 *         without `done`, `failed` or `stopped` was killed or crashed; the parent classifies that.
 */
import type { FailureReason, Metrics } from '../../shared/core/study/trial.js';
import type { CommandDefinition } from './command/definition.js';
import type { TrialDone, TrialJob, TrialPhase } from './port.js';

export type ToChild =
  | {
      readonly type: 'run';
      readonly job: TrialJob;
      /** The program to run; only for the process that runs programs (command/command-child.ts). */
      readonly command?: CommandDefinition;
    }
  | { readonly type: 'stop' };

export type FromChild =
  | {
      readonly type: 'ready';
      /** The runtime that will train, e.g. `wasm`; `none` for a trainer that needs none. */
      readonly runtime: string;
      /** Why this runtime was chosen, one sentence for people. */
      readonly reason: string;
    }
  | { readonly type: 'report'; readonly step: number; readonly metrics: Metrics }
  | { readonly type: 'done'; readonly done: TrialDone }
  | {
      readonly type: 'failed';
      readonly reason: FailureReason;
      readonly message: string;
      /** As in `TrialDone`: what the failed attempt had used. */
      readonly peakMemoryBytes: number | null;
      /** What the attempt was doing, where that is known. */
      readonly phase?: TrialPhase;
    }
  | { readonly type: 'stopped' }
  /** A line for the worker's log. */
  | { readonly type: 'log'; readonly text: string };

/** Names of the trainers that a child process can run, its first argument. */
export const childTrainers = ['hermite', 'instant'] as const;
export type ChildTrainerName = (typeof childTrainers)[number];

export const childExitCodes = {
  /** The channel to the worker closed. */
  parentGone: 0,
  /** Wrong arguments, or no usable runtime; the reason was sent as `failed`. */
  cannotStart: 2,
  /** After `failed` with reason `oom`. */
  outOfMemory: 3,
  /** After the answer to a job during which the GPU device failed: it computes nothing more in this process. */
  deviceFailed: 4,
} as const;
