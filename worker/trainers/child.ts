/**
 * Entry of the trainer process. It runs one trial at a time for the worker that forked it, is kept alive between
 * trials, and ends at once when the channel to the worker closes. `protocol.ts` has the messages.
 *
 * Training blocks the event loop for one optimiser step at a time; the trainers yield between steps, so that `stop` and
 * a closed channel are seen within one step.
 */
import { pathToFileURL } from 'node:url';
import { assertNever } from '../../shared/core/assert.js';
import { thrownOutOfMemory } from '../gpu/out-of-memory.js';
import { instantTrainer } from './instant.js';
import { TrialFailed, TrialStopped, type Trainer, type TrialJob } from './port.js';
import {
  childExitCodes,
  childTrainers,
  type ChildTrainerName,
  type FromChild,
  type ToChild,
} from './protocol.js';

interface LoadedTrainer {
  readonly trainer: Trainer;
  /** Peak memory of the attempt so far, bytes; null where the trainer uses none worth naming. */
  readonly peakMemory: () => number | null;
  readonly runtime: string;
  readonly reason: string;
  /** False when nothing more can be trained in this process. */
  readonly healthy: () => boolean;
}

interface LoadOptions {
  readonly runtime: string;
  /** True once the worker asked for the running trial to stop. */
  readonly stopRequested: () => boolean;
}

/** Loads only what the named trainer needs: TensorFlow.js alone costs half a second and 100 MB. */
async function loadTrainer(name: ChildTrainerName, options: LoadOptions): Promise<LoadedTrainer> {
  switch (name) {
    case 'hermite': {
      const { chooseRuntime } = await import('./runtime/choose-runtime.js');
      const { createHermiteTrainer } = await import('./hermite/run-trial.js');
      const { runtime, reason } = await chooseRuntime(options.runtime);
      const trainer = createHermiteTrainer({ runtime, stopRequested: options.stopRequested });
      const healthy = (): boolean => runtime.healthy();
      return { trainer, peakMemory: () => runtime.peak.read(), runtime: runtime.name, reason, healthy };
    }
    case 'instant':
      return {
        ...{ trainer: instantTrainer, peakMemory: () => null, runtime: 'none' },
        ...{ reason: 'the instant trainer computes nothing', healthy: () => true },
      };
    default:
      return assertNever(name);
  }
}

const isChildTrainer = (name: string): name is ChildTrainerName =>
  childTrainers.some((known) => known === name);

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Whether the message says something about the model, which only a device in order can tell. */
const speaksOfModel = (outcome: FromChild): boolean =>
  outcome.type === 'done' ||
  (outcome.type === 'failed' && (outcome.reason === 'diverged' || outcome.reason === 'infeasible'));

/** What became of one job, as the message that says so; nothing about the model once the device has failed. */
export async function outcomeOf(
  loaded: Pick<LoadedTrainer, 'trainer' | 'peakMemory' | 'healthy'>,
  job: TrialJob,
  report: Parameters<Trainer['run']>[1],
): Promise<FromChild> {
  const outcome = await toldBy(loaded, job, report);
  if (loaded.healthy() || !speaksOfModel(outcome)) return outcome;
  const message = 'the device failed while the trial ran; nothing it computed counts';
  return { type: 'failed', reason: 'error', message, peakMemoryBytes: loaded.peakMemory() };
}

/** What the trainer says. What it has not classified is looked at for lack of memory. */
async function toldBy(
  { trainer, peakMemory }: Pick<LoadedTrainer, 'trainer' | 'peakMemory'>,
  job: TrialJob,
  report: Parameters<Trainer['run']>[1],
): Promise<FromChild> {
  try {
    return { type: 'done', done: await trainer.run(job, report) };
  } catch (error) {
    if (error instanceof TrialStopped) return { type: 'stopped' };
    const peakMemoryBytes = peakMemory();
    if (error instanceof TrialFailed) {
      const { reason, message, phase } = error;
      return { type: 'failed', reason, message, peakMemoryBytes, ...(phase === null ? {} : { phase }) };
    }
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const sign = thrownOutOfMemory(error);
    return sign === null
      ? { type: 'failed', reason: 'error', message: text, peakMemoryBytes }
      : { type: 'failed', reason: 'oom', message: `out of memory (${sign}): ${text}`, peakMemoryBytes };
  }
}

const cannotStart = (message: string): FromChild => ({
  ...{ type: 'failed', reason: 'error', message, peakMemoryBytes: null },
});

async function main(args: readonly string[], send: (message: FromChild) => Promise<void>): Promise<void> {
  const [name = '', runtime = 'auto'] = args;
  let running = false;
  let stop = false;

  if (!isChildTrainer(name)) {
    await send(cannotStart(`unknown trainer '${name}': one of ${childTrainers.join(', ')}`));
    process.exit(childExitCodes.cannotStart);
  }
  let loaded: LoadedTrainer;
  try {
    loaded = await loadTrainer(name, { runtime, stopRequested: () => stop });
  } catch (error) {
    await send(cannotStart(messageOf(error)));
    process.exit(childExitCodes.cannotStart);
  }

  const run = async (job: TrialJob): Promise<void> => {
    if (running) throw new Error('the worker sent a second job while one is running');
    running = true;
    stop = false;
    const outcome = await outcomeOf(loaded, job, async (step, metrics) => {
      await send({ type: 'report', step, metrics });
      return stop;
    });
    running = false;
    await send(outcome);
    if (outcome.type === 'failed' && outcome.reason === 'oom') process.exit(childExitCodes.outOfMemory);
    if (!loaded.healthy()) process.exit(childExitCodes.deviceFailed);
  };

  process.on('message', (message: ToChild) => {
    if (message.type === 'run') void run(message.job);
    else stop = true;
  });
  await send({ type: 'ready', runtime: loaded.runtime, reason: loaded.reason });
}

/** Sends to the worker and resolves when the message has left, so that a following exit cannot lose it. */
const sendToWorker = (message: FromChild): Promise<void> =>
  new Promise((resolve, reject) => {
    if (process.send === undefined) {
      reject(new Error('this file is started by a worker, through child_process.fork'));
      return;
    }
    process.send(message, undefined, {}, (error) => (error === null ? resolve() : reject(error)));
  });

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.on('disconnect', () => process.exit(childExitCodes.parentGone));
  await main(process.argv.slice(2), sendToWorker);
}
