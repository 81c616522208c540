/** What a worker has to work with: processor, memory, GPUs, and the versions that matter. */
import { statfs, stat, readdir, access, constants } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { loadTensorFlow } from '../trainers/runtime/tensorflow.js';
import { cgroupOomKills } from '../gpu/cgroup.js';
import { listGpus, type GpuListing, type NvidiaSmi } from '../gpu/nvidia-smi.js';

export interface MachineReport {
  readonly versions: Readonly<Record<'worker' | 'node' | 'v8' | 'tensorflowJs' | 'system', string>>;
  readonly processor: { readonly model: string; readonly cores: number; readonly usable: number };
  readonly memory: {
    readonly totalBytes: number;
    readonly freeBytes: number;
    /** The container's or service's limit; null without one. */
    readonly limitBytes: number | null;
    /** Whether the kernel's out-of-memory kills are counted where a worker can see it. */
    readonly killsCounted: boolean;
  };
  readonly gpus: GpuListing;
  readonly cache: CacheReport;
}

export interface CacheReport {
  readonly directory: string;
  /** Null while the folder does not exist: it is made when it is needed. */
  readonly datasets: { readonly count: number; readonly bytes: number } | null;
  /** Free space for this user, bytes; null where that cannot be told. */
  readonly freeBytes: number | null;
  /** Why data sets cannot be kept there, or null. */
  readonly problem: string | null;
}

/** The nearest folder that exists, upwards. */
async function existing(directory: string): Promise<string> {
  const found = await stat(directory).catch(() => null);
  const parent = path.dirname(directory);
  return found !== null || parent === directory ? directory : existing(parent);
}

async function datasetsIn(directory: string): Promise<CacheReport['datasets']> {
  const names = await readdir(directory).catch(() => null);
  if (names === null) return null;
  const sizes = await Promise.all(
    names.map(async (name) => (await stat(path.join(directory, name)).catch(() => null))?.size ?? 0),
  );
  return { count: names.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

async function inspectCache(directory: string): Promise<CacheReport> {
  const base = await existing(directory);
  const problem = await access(base, constants.W_OK).then(
    () => null,
    () => `${base} is not writable; give another folder in PARZEN_CACHE`,
  );
  const space = await statfs(base).catch(() => null);
  return {
    directory,
    datasets: await datasetsIn(path.join(directory, 'datasets')),
    freeBytes: space === null ? null : space.bavail * space.bsize,
    problem,
  };
}

/** Looks at the machine; never rejects for anything it finds there. */
export async function inspectMachine(options: {
  readonly version: string;
  readonly cacheDirectory: string;
  readonly nvidiaSmi?: NvidiaSmi;
}): Promise<MachineReport> {
  const limit = process.constrainedMemory();
  const total = os.totalmem();
  return {
    versions: {
      worker: options.version,
      node: process.versions.node,
      v8: process.versions.v8,
      tensorflowJs: loadTensorFlow().version.tfjs,
      system: `${os.type()} ${os.release()} ${os.arch()}`,
    },
    processor: {
      model: os.cpus()[0]?.model.trim() ?? 'unknown',
      ...{ cores: os.cpus().length, usable: os.availableParallelism() },
    },
    memory: {
      ...{ totalBytes: total, freeBytes: os.freemem() },
      limitBytes: limit > 0 && limit < total ? limit : null,
      killsCounted: cgroupOomKills() !== null,
    },
    gpus: await listGpus(options.nvidiaSmi),
    cache: await inspectCache(options.cacheDirectory),
  };
}
