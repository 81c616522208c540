/** PyTorch beside us: `bench/peers/trainer.py` for the same steps, `bench/peers/matmul.py` for what the machine's core can do. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';

export interface PeerStep {
  readonly version: string;
  /** Seconds of processor time per step, and of the clock (median). */
  readonly cpuSeconds: number;
  readonly seconds: number;
  readonly peakMemoryBytes: number;
}

/** One thread, whatever library multiplies. */
const oneThread = { OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1', MKL_NUM_THREADS: '1' };
const timeoutMs = 180_000;

function runPython(
  python: string,
  script: string,
  args: readonly string[],
): Record<string, unknown>[] | string {
  const file = path.resolve(import.meta.dirname, `../../../bench/peers/${script}`);
  const run = spawnSync(python, [file, ...args], {
    encoding: 'utf8',
    timeout: timeoutMs,
    env: { ...process.env, ...oneThread },
  });
  if (run.error !== undefined) return run.error.message;
  const lines = run.stdout.split('\n').filter((line) => line.startsWith('{'));
  if (run.status === 0 && lines.length > 0)
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  return run.stderr.trim().split('\n').at(-1) ?? `exit code ${run.status}`;
}

/** The first of these Pythons that has PyTorch, or why none does. */
export function findPeer(pythons: readonly string[]): { python: string } | { reason: string } {
  const reasons: string[] = [];
  for (const python of pythons) {
    const found = runPython(python, 'trainer.py', ['--steps', '2', '--seconds', '1', '1,1,1,0,1,1']);
    if (typeof found !== 'string') return { python };
    reasons.push(`${python}: ${found}`);
  }
  return { reason: reasons.join('; ') };
}

/** Steps for about so many seconds on one thread, denormals flushed. Throws when the peer cannot. */
export function peerStep(python: string, configuration: string, seconds: number): PeerStep {
  const options = ['--threads', '1', '--seconds', String(seconds), '--steps', '1000'];
  const lines = runPython(python, 'trainer.py', [...options, configuration]);
  if (typeof lines === 'string') throw new Error(`the peer ${python} failed: ${lines}`);
  const line = lines[0] ?? {};
  return {
    version: String(line['version']),
    cpuSeconds: Number(line['cpuSecondsPerStep']),
    seconds: Number(line['secondsPerStep']),
    peakMemoryBytes: Number(line['peakMemoryBytes']),
  };
}

/** Floating-point operations per second of processor time in a large matrix product, one thread; null where no peer knows. */
export function matmulPeak(python: string): number | null {
  const lines = runPython(python, 'matmul.py', []);
  return typeof lines === 'string' ? null : Number(lines[0]?.['operationsPerCpuSecond']);
}
