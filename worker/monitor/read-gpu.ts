/** What `nvidia-smi` says of one GPU, again and again. */
import type { Clock } from '../../shared/platform/clock.js';
import { nvidiaSmi, type NvidiaSmi } from '../gpu/nvidia-smi.js';

/** Figures of one GPU; null where the driver does not say. */
export interface GpuReading {
  readonly memoryUsedBytes: number | null;
  readonly memoryTotalBytes: number | null;
  /** Share of the time in which some kernel ran, 0 to 1. */
  readonly utilisation: number | null;
  readonly celsius: number | null;
  readonly watts: number | null;
  /** Memory errors since the driver was loaded: mended ones, … */
  readonly eccCorrected: number | null;
  /** … and those that could not be: what was computed then is wrong. */
  readonly eccUncorrected: number | null;
}

const basics = ['memory.used', 'memory.total', 'utilization.gpu', 'temperature.gpu', 'power.draw'] as const;
const ecc = ['ecc.errors.corrected.volatile.total', 'ecc.errors.uncorrected.volatile.total'] as const;
const mebibyte = 2 ** 20;

/** `withEcc` false: for drivers that refuse the whole question because of fields that they do not know. */
export const readingArguments = (uuid: string, withEcc = true): readonly string[] => [
  `--id=${uuid}`,
  `--query-gpu=${(withEcc ? [...basics, ...ecc] : basics).join(',')}`,
  '--format=csv,noheader,nounits',
];

/** The line of `readingArguments`; null when it is something else. `[N/A]`, `ERR!` and the like are null. */
export function parseReading(text: string): GpuReading | null {
  const fields = (text.trim().split('\n')[0] ?? '').split(',').map((field) => field.trim());
  if (fields.length !== basics.length && fields.length !== basics.length + ecc.length) return null;
  const [used, total, percent, celsius, watts, corrected, uncorrected] = fields.map((field) =>
    /^-?\d+(\.\d+)?$/.test(field) ? Number(field) : null,
  );
  const times = (value: number | null | undefined, factor: number): number | null =>
    value === null || value === undefined ? null : value * factor;
  return {
    memoryUsedBytes: times(used, mebibyte),
    memoryTotalBytes: times(total, mebibyte),
    utilisation: times(percent, 0.01),
    celsius: celsius ?? null,
    watts: watts ?? null,
    eccCorrected: corrected ?? null,
    eccUncorrected: uncorrected ?? null,
  };
}

/** The version of CUDA that the driver supports, from the heading of `nvidia-smi`; empty when it does not say. */
export async function readCudaVersion(run: NvidiaSmi = nvidiaSmi): Promise<string> {
  const answer = await run([]);
  return answer.ok ? (/CUDA Version:\s*([\d.]+)/.exec(answer.output)?.[1] ?? '') : '';
}

export interface GpuWatchOptions {
  readonly uuid: string;
  readonly clock: Clock;
  readonly intervalMs: number;
  readonly over: AbortSignal;
  /** Null: the GPU says nothing (any more). */
  readonly show: (reading: GpuReading | null) => void;
  readonly run?: NvidiaSmi;
}

/** Reads until `over` aborts, one reading at a time; never rejects. */
export async function watchGpu({
  uuid,
  clock,
  intervalMs,
  over,
  show,
  run = nvidiaSmi,
}: GpuWatchOptions): Promise<void> {
  while (!over.aborted) {
    let answer = await run(readingArguments(uuid));
    if (!answer.ok) answer = await run(readingArguments(uuid, false));
    show(answer.ok ? parseReading(answer.output) : null);
    await clock.sleep(intervalMs, over);
  }
}
