/** What NVIDIA's driver says about the machine's GPUs, asked through `nvidia-smi`, which comes with every driver. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { nvidiaSmiOutputBytesMax, nvidiaSmiTimeoutMs } from '../limits.js';

export interface Gpu {
  /** Position in PCI bus order, as `nvidia-smi` and CUDA_DEVICE_ORDER=PCI_BUS_ID count. */
  readonly index: number;
  readonly uuid: string;
  readonly name: string;
  /** Bytes; null where the driver does not say. */
  readonly memoryBytes: number | null;
  readonly freeMemoryBytes: number | null;
  readonly driver: string;
}

/** A part of a GPU that a person has partitioned (MIG); a worker uses it like a GPU of its own. */
export interface GpuPart {
  readonly uuid: string;
  readonly name: string;
  readonly memoryBytes: number | null;
  /** Index of the GPU it is a part of. */
  readonly gpuIndex: number;
}

export type GpuListing =
  | { readonly kind: 'gpus'; readonly gpus: readonly Gpu[]; readonly parts: readonly GpuPart[] }
  /** No GPU can be used; the reason is for people. */
  | { readonly kind: 'none'; readonly reason: string };

const queried = ['index', 'uuid', 'name', 'memory.total', 'memory.free', 'driver_version'] as const;
export const gpuQueryArguments = [`--query-gpu=${queried.join(',')}`, '--format=csv,noheader,nounits'];

const mebibyte = 1024 * 1024;

/** A number of MiB as bytes; `[N/A]` and `[Not Supported]` are null. */
function bytesOf(text: string | undefined): number | null {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) * mebibyte : null;
}

/** Lines of `gpuQueryArguments`. Names hold no commas; a line that reads otherwise is left out. */
export function parseGpus(text: string): Gpu[] {
  return text.split('\n').flatMap((line) => {
    const [index = '', uuid = '', name = '', total, free, driver = ''] = line
      .split(',')
      .map((part) => part.trim());
    if (!/^\d+$/.test(index) || !uuid.startsWith('GPU-')) return [];
    const memory = { memoryBytes: bytesOf(total), freeMemoryBytes: bytesOf(free) };
    return [{ index: Number(index), uuid, name, ...memory, driver }];
  });
}

/** The parts in `nvidia-smi -L`; their memory is in their profile's name (`1g.10gb`, in GB of 2³⁰). */
export function parseGpuParts(text: string): GpuPart[] {
  let gpuIndex = -1;
  return text.split('\n').flatMap((line) => {
    const gpu = /^GPU (\d+):/.exec(line)?.[1];
    if (gpu !== undefined) gpuIndex = Number(gpu);
    const part = /^\s+MIG (\S+)\s+Device\s+\d+:\s+\(UUID: (MIG-[^)]+)\)/.exec(line);
    if (part === null) return [];
    const [, profile = '', uuid = ''] = part;
    const gigabytes = /\.(\d+)gb/.exec(profile)?.[1];
    const memoryBytes = gigabytes === undefined ? null : Number(gigabytes) * 1024 * mebibyte;
    return [{ uuid, name: `MIG ${profile}`, memoryBytes, gpuIndex }];
  });
}

/** Runs `nvidia-smi` with these arguments. */
export type NvidiaSmi = (
  args: readonly string[],
) => Promise<
  { readonly ok: true; readonly output: string } | { readonly ok: false; readonly reason: string }
>;

/** The real `nvidia-smi`, wherever PATH has it. */
export const nvidiaSmi: NvidiaSmi = (args) =>
  new Promise((resolve) => {
    const bounds = {
      timeout: nvidiaSmiTimeoutMs,
      maxBuffer: nvidiaSmiOutputBytesMax,
      killSignal: 'SIGKILL',
    } as const;
    execFile('nvidia-smi', [...args], bounds, (error, stdout, stderr) => {
      if (error === null) {
        resolve({ ok: true, output: stdout });
        return;
      }
      const missing = 'code' in error && error.code === 'ENOENT';
      const slow = error.killed === true ? `no answer within ${nvidiaSmiTimeoutMs / 1000} s` : null;
      const said = `${stdout}${stderr}`.trim().split('\n')[0] ?? '';
      const reason = missing
        ? 'nvidia-smi is not installed'
        : `nvidia-smi: ${slow ?? (said === '' ? error.message : said)}`;
      resolve({ ok: false, reason });
    });
  });

/** Whether NVIDIA's driver is loaded, with or without a card that can be used; `root` is the root of the file system. */
export const hasNvidiaDriver = (root = '/'): boolean =>
  ['dev/nvidiactl', 'proc/driver/nvidia/version'].some((file) => existsSync(path.join(root, file)));

/** The machine's NVIDIA GPUs. Never rejects: a machine without any is an ordinary one. */
export async function listGpus(run: NvidiaSmi = nvidiaSmi): Promise<GpuListing> {
  const answer = await run(gpuQueryArguments);
  if (!answer.ok) return { kind: 'none', reason: answer.reason };
  const gpus = parseGpus(answer.output);
  if (gpus.length === 0) {
    const said = answer.output.trim().split('\n')[0] ?? '';
    return { kind: 'none', reason: `nvidia-smi lists no GPU${said === '' ? '' : ` (${said})`}` };
  }
  const listing = await run(['-L']);
  return { kind: 'gpus', gpus, parts: listing.ok ? parseGpuParts(listing.output) : [] };
}
