import os from 'node:os';
import type { Gpu, GpuListing, GpuPart } from './nvidia-smi.js';

/** The device that a worker's trials run on. */
export interface Device {
  /** Stable id of a GPU; null for the CPU. */
  readonly uuid: string | null;
  readonly name: string;
  /** Memory that one trial may use, bytes; null when unknown. */
  readonly memoryBytes: number | null;
  /** Why the webgpu runtime may compute on another card of this machine; absent where it does not. */
  readonly webgpuDoubt?: string;
}

/** Memory of this machine that one of `slots` trials may use, bytes: the container's limit where that is smaller. */
export function hostMemoryPerSlot(slots: number): number {
  const limit = process.constrainedMemory();
  const total = limit > 0 ? Math.min(limit, os.totalmem()) : os.totalmem();
  return Math.floor(total / slots);
}

/** The CPU; its memory is divided among the slots unless one trial's share is given, bytes. */
export function cpuDevice(slots: number, memoryBytes = hostMemoryPerSlot(slots)): Device {
  const model = os.cpus()[0]?.model.trim() ?? 'CPU';
  return { uuid: null, name: model, memoryBytes };
}

/** What `--gpu` says. */
export type GpuChoice =
  | { readonly kind: 'auto' }
  | { readonly kind: 'none' }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'uuid'; readonly uuid: string };

/** `auto`, `none`, an index, or (the beginning of) a UUID as `nvidia-smi -L` shows it; null for anything else. */
export function parseGpuChoice(text: string): GpuChoice | null {
  if (text === 'auto' || text === 'none') return { kind: text };
  if (/^\d{1,4}$/.test(text)) return { kind: 'index', index: Number(text) };
  return /^(GPU|MIG)-[0-9A-Za-z/-]+$/.test(text) ? { kind: 'uuid', uuid: text } : null;
}

/** The GPU that was asked for is not there or cannot be had; the message says what can. */
export class GpuNotFound extends Error {
  override readonly name = 'GpuNotFound';
}

/** A GPU as its maker's tools know it. */
export interface GpuIdentity {
  /** Of the whole card, also where the worker uses a part of it: DCGM and `nvidia-smi` know no other. */
  readonly uuid: string;
  readonly model: string;
  /** Profile of the part that the worker uses (MIG); empty for a whole card. */
  readonly migProfile: string;
  readonly driver: string;
}

export type ChosenGpu = (
  | { readonly kind: 'gpu'; readonly device: Device; readonly identity: GpuIdentity }
  /** Trials run on the CPU; the reason is for people. */
  | { readonly kind: 'cpu'; readonly reason: string }
) & {
  /** Variables for the trainers' environment. */
  readonly environment: Readonly<Record<string, string>>;
};

const perSlot = (bytes: number | null, slots: number): number | null =>
  bytes === null ? null : Math.floor(bytes / slots);

type Listed = Extract<GpuListing, { kind: 'gpus' }>;

const describe = ({ gpus, parts }: Listed): string =>
  [
    ...gpus.map(({ index, name, uuid }) => `${index} ${name} ${uuid}`),
    ...parts.map(({ name, uuid }) => `${name} ${uuid}`),
  ].join('; ');

/** What a worker can use: whole cards, and instead of a card that is partitioned (MIG) its parts, for it computes nothing itself. */
const usable = ({ gpus, parts }: Listed): readonly (Gpu | GpuPart)[] =>
  gpus.flatMap((gpu): readonly (Gpu | GpuPart)[] => {
    const own = parts.filter(({ gpuIndex }) => gpuIndex === gpu.index);
    return own.length === 0 ? [gpu] : own;
  });

/** What CUDA_VISIBLE_DEVICES leaves of it: what the worker's surroundings have taken away stays away. */
function visibleOnly(listing: Listed, visible: string | undefined): readonly (Gpu | GpuPart)[] {
  if (visible === undefined) return usable(listing);
  const allowed = visible.split(',').map((entry) => entry.trim());
  const named = (device: Gpu | GpuPart): boolean =>
    allowed.some(
      (entry) =>
        ('index' in device && entry === String(device.index)) ||
        (/^(GPU|MIG)-/.test(entry) && device.uuid.startsWith(entry)),
    );
  return usable(listing).filter((device) => {
    const card = cardOf(device, listing);
    return named(device) || (card !== undefined && named(card));
  });
}

/** The one with the most free memory: several workers that start one after the other spread over the GPUs. */
function emptiest(devices: readonly (Gpu | GpuPart)[]): Gpu | GpuPart | undefined {
  const free = (device: Gpu | GpuPart): number =>
    ('freeMemoryBytes' in device ? device.freeMemoryBytes : null) ?? device.memoryBytes ?? 0;
  return devices.reduce<Gpu | GpuPart | undefined>(
    (best, device) => (best === undefined || free(device) > free(best) ? device : best),
    undefined,
  );
}

/** A card that was named and is partitioned means the largest of its parts. */
function find(choice: Exclude<GpuChoice, { kind: 'auto' | 'none' }>, listing: Listed): Gpu | GpuPart {
  const { gpus, parts } = listing;
  const found =
    choice.kind === 'index'
      ? gpus.find(({ index }) => index === choice.index)
      : [...gpus, ...parts].find(({ uuid }) => uuid.startsWith(choice.uuid));
  if (found === undefined) {
    const asked = choice.kind === 'index' ? `GPU ${choice.index}` : choice.uuid;
    throw new GpuNotFound(`there is no ${asked}; this machine has: ${describe(listing)}`);
  }
  if ('gpuIndex' in found) return found;
  return emptiest(parts.filter(({ gpuIndex }) => gpuIndex === found.index)) ?? found;
}

/**
 * The GPU, or part of one, for a worker with so many slots. `visible` is the worker's own CUDA_VISIBLE_DEVICES. Throws `GpuNotFound` when a
 * particular GPU was asked for and is not there; `auto` then means the CPU.
 */
export function chooseGpu(
  choice: GpuChoice,
  listing: GpuListing,
  { slots, visible }: { readonly slots: number; readonly visible: string | undefined },
): ChosenGpu {
  if (choice.kind === 'none') return { kind: 'cpu', reason: 'asked for: no GPU', environment: hidden };
  if (listing.kind === 'none') {
    if (choice.kind === 'auto') return { kind: 'cpu', reason: listing.reason, environment: {} };
    throw new GpuNotFound(`no GPU can be used: ${listing.reason}`);
  }
  const gpu = choice.kind === 'auto' ? emptiest(visibleOnly(listing, visible)) : find(choice, listing);
  if (gpu === undefined) {
    return { kind: 'cpu', reason: 'CUDA_VISIBLE_DEVICES hides all GPUs', environment: {} };
  }
  return {
    kind: 'gpu',
    device: { uuid: gpu.uuid, name: gpu.name, memoryBytes: perSlot(gpu.memoryBytes, slots) },
    identity: identityOf(gpu, listing),
    environment: pinnedTo(gpu.uuid),
  };
}

/** The whole card that a device is, or is a part of. */
const cardOf = (device: Gpu | GpuPart, { gpus }: Listed): Gpu | undefined =>
  'gpuIndex' in device ? gpus.find(({ index }) => index === device.gpuIndex) : device;

function identityOf(chosen: Gpu | GpuPart, listing: Listed): GpuIdentity {
  const card = cardOf(chosen, listing);
  return {
    uuid: card?.uuid ?? chosen.uuid,
    model: card?.name ?? chosen.name,
    migProfile: 'gpuIndex' in chosen ? chosen.name.replace(/^MIG /, '') : '',
    driver: card?.driver ?? '',
  };
}

/**
 * Variables that keep a trainer on a GPU (runtimes.md §5). Without them TensorFlow would take the memory of every GPU and
 * compute on the last one; growth is allowed so that it takes no more than it uses.
 */
const pinnedTo = (uuid: string): Readonly<Record<string, string>> => ({
  CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
  CUDA_VISIBLE_DEVICES: uuid,
  TF_FORCE_GPU_ALLOW_GROWTH: 'true',
});

const hidden: Readonly<Record<string, string>> = { CUDA_VISIBLE_DEVICES: '' };
