import type { FailureReason } from '../../shared/core/study/trial.js';
import { outOfMemorySign } from './out-of-memory.js';

/** How a trainer process ended without an answer. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The end of what it wrote. */
  readonly output: string;
  /** Out-of-memory kills that the cgroup counted while it ran; null where there is no such counter. */
  readonly cgroupOomKills: number | null;
}

/** A shell, and everything that copies it, ends with 128 + n when its command was ended by signal n. */
const killedCode = 128 + 9;
const outputShownMax = 1_000;

/**
 * Why a trainer process died, and a text for people. An out-of-memory is data: it is told apart wherever it can be. A kill
 * is one only when the kernel counted it; who else sends SIGKILL is a person or a script.
 */
export function classifyExit(exit: ProcessExit): {
  readonly reason: FailureReason;
  readonly message: string;
} {
  const how = exit.signal === null ? `exit code ${exit.code ?? '?'}` : `signal ${exit.signal}`;
  const tail = exit.output.trim();
  const shown = tail === '' ? '' : `: ${tail.slice(-outputShownMax)}`;
  const ended = `the trainer process ended with ${how}`;
  const sign = outOfMemorySign(tail);
  if (sign !== null) return { reason: 'oom', message: `${ended} (out of memory: ${sign})${shown}` };
  const killed = exit.signal === 'SIGKILL' || exit.code === killedCode;
  if (killed && (exit.cgroupOomKills ?? 0) > 0)
    return { reason: 'oom', message: `${ended} (out of memory: killed by the kernel)${shown}` };
  const hint =
    killed && exit.cgroupOomKills === null
      ? ' (killed from outside; whether for lack of memory, this system does not say)'
      : '';
  return { reason: 'error', message: `${ended}${hint}${shown}` };
}
