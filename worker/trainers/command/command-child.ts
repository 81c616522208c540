/**
 * The process between a worker and a program: it runs one program for one attempt and speaks the protocol of the other
 * trainers (protocol.ts). It leads a process group that the program and everything it starts belong to. So the worker ends
 * all of it with one signal, and when the worker itself dies, the closed channel ends it here: a program never outlives its
 * worker.
 */
import { memoryOfProcesses, processesOfGroup } from '../../gpu/process-memory.js';
import { logLineLengthMax, logLinesPerSecondMax, memoryLookFirstMs, memoryLookMaxMs } from '../../limits.js';
import type { FromChild, ToChild } from '../protocol.js';
import type { CommandDefinition } from './definition.js';
import type { TrialJob } from '../port.js';
import { runProgram } from './run-program.js';

const send = (message: FromChild): Promise<void> =>
  new Promise((resolve) => {
    // When the worker is gone, `disconnect` ends this process; there is nobody to tell.
    if (process.send === undefined) resolve();
    else process.send(message, undefined, {}, () => resolve());
  });

/** Ends this process and everything it started. */
const endAll = (): void => {
  process.kill(-process.pid, 'SIGKILL');
};

/** Watches the memory of the group without this process; the pauses grow, so that watching stays cheap. */
function watchMemory(): { readonly peak: () => number | null; readonly end: () => void } {
  let peak: number | null = null;
  let pauseMs = memoryLookFirstMs;
  let timer: NodeJS.Timeout;
  const look = (): void => {
    const bytes = memoryOfProcesses(processesOfGroup(process.pid).filter((pid) => pid !== process.pid));
    if (bytes !== null) peak = Math.max(peak ?? 0, bytes);
    pauseMs = Math.min(2 * pauseMs, memoryLookMaxMs);
    timer = setTimeout(look, pauseMs);
  };
  timer = setTimeout(look, pauseMs);
  return { peak: () => peak, end: () => clearTimeout(timer) };
}

/** Passes log lines on, at most so many a second; says how many were left out. */
function boundedLog(): (text: string) => void {
  let second = 0;
  let count = 0;
  return (text) => {
    const now = Math.floor(performance.now() / 1_000);
    if (now !== second) {
      const dropped = count - logLinesPerSecondMax;
      if (dropped > 0) void send({ type: 'log', text: `(${dropped} lines left out)` });
      second = now;
      count = 0;
    }
    count += 1;
    if (count <= logLinesPerSecondMax) void send({ type: 'log', text: text.slice(0, logLineLengthMax) });
  };
}

async function run(job: TrialJob, command: CommandDefinition, stopped: () => boolean): Promise<void> {
  const memory = watchMemory();
  const outcome = await runProgram({
    ...{ job, command, environment: process.env, onLog: boundedLog() },
    onReport: (step, metrics) => void send({ type: 'report', step, metrics }),
  });
  memory.end();
  const measured = memory.peak();
  if (stopped()) await send({ type: 'stopped' });
  else if (outcome.type === 'done') {
    const { metrics, peakMemoryBytes } = outcome.done;
    // What the program says of itself may include a GPU's memory, which is not seen from here.
    await send({ type: 'done', done: { metrics, peakMemoryBytes: peakMemoryBytes ?? measured } });
  } else await send({ ...outcome, peakMemoryBytes: measured });
  // Whatever the program has left running ends with its trial.
  endAll();
}

let stop = false;
process.on('disconnect', endAll);
// The program gets this signal with the rest of the group; we stay to say how it ended.
process.on('SIGTERM', () => undefined);
process.on('message', (message: ToChild) => {
  if (message.type === 'stop') {
    stop = true;
    process.kill(-process.pid, 'SIGTERM');
  } else if (message.command !== undefined) void run(message.job, message.command, () => stop);
});
await send({ type: 'ready', runtime: 'none', reason: 'runs a program' });
