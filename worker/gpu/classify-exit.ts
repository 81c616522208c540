import type { FailureReason } from '../../shared/core/study/trial.js';

/** How a trainer process ended without an answer. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The end of its standard error. */
  readonly stderr: string;
  /** Out-of-memory kills that the cgroup counted while it ran; null where there is no such counter. */
  readonly cgroupOomKills: number | null;
}

/** Texts by which runtimes say that memory ran out (V8, WebAssembly, typed arrays, TensorFlow, CUDA, Dawn). */
const outOfMemoryTexts =
  /heap out of memory|out of memory|Memory\.grow\(\)|Array buffer allocation failed|Invalid typed array length|OOM when allocating|RESOURCE_?EXHAUSTED|Resource exhausted|CUDA_ERROR_OUT_OF_MEMORY|ALLOC_FAILED|OUT_OF_(DEVICE|HOST)_MEMORY|ENOMEM|Cannot allocate memory/i;

/** Why a trainer process died, and a text for people. An out-of-memory is data: it is told apart wherever it can be. */
export function classifyExit(exit: ProcessExit): {
  readonly reason: FailureReason;
  readonly message: string;
} {
  const how = exit.signal === null ? `exit code ${exit.code ?? '?'}` : `signal ${exit.signal}`;
  const tail = exit.stderr.trim();
  const message = `the trainer process ended with ${how}${tail === '' ? '' : `: ${tail.slice(-1_000)}`}`;
  if (outOfMemoryTexts.test(tail)) return { reason: 'oom', message };
  if (exit.signal === 'SIGKILL' && (exit.cgroupOomKills ?? 0) > 0)
    return { reason: 'oom', message: `${message} (killed by the kernel: out of memory)` };
  return { reason: 'error', message };
}
