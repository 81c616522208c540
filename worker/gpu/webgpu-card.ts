/**
 * Which card the webgpu runtime computes on. Vulkan takes no notice of CUDA_VISIBLE_DEVICES, and Dawn tells adapters apart by their names
 * alone: of several cards of one name it takes the first, whatever was asked for.
 */
import { adapterVariable } from '../trainers/runtime/webgpu/adapter.js';
import { GpuNotFound, type ChosenGpu, type GpuChoice } from './device.js';
import type { GpuListing } from './nvidia-smi.js';

export type WebgpuCard =
  /** It is the worker's own card; `adapter` has to be named to Dawn so that it is, null where there is no other. */
  | { readonly kind: 'own'; readonly adapter: string | null }
  /** Nobody can say, or it is another; the reason, with the remedy, is for people. */
  | { readonly kind: 'doubtful'; readonly reason: string };

const remedy = 'give each worker a container with one card (docs/guides/gpu.md), or take another --runtime';

/** `uuid` is that of the whole card that the worker was given; `adapter` is what `--adapter` says, empty for nothing. */
export function webgpuCard(uuid: string, listing: GpuListing, adapter: string): WebgpuCard {
  const gpus = listing.kind === 'gpus' ? listing.gpus : [];
  const own = gpus.find((gpu) => gpu.uuid === uuid);
  if (own === undefined || gpus.length === 1) return { kind: 'own', adapter: null };
  const wanted = adapter === '' ? own.name : adapter;
  const matching = gpus.filter(({ name }) => name.toLowerCase().includes(wanted.toLowerCase()));
  if (matching.length === 1 && matching[0] === own) return { kind: 'own', adapter: wanted };
  const reason =
    matching.length > 1
      ? `this machine has ${matching.length} cards called '${wanted}', of which webgpu takes the first, whatever --gpu says`
      : `--adapter ${adapter} is not GPU ${own.index}, ${own.name}`;
  return { kind: 'doubtful', reason: `${reason}; ${remedy}` };
}

/**
 * The chosen GPU with what the webgpu runtime needs to compute on it. Throws `GpuNotFound` where a particular card and this runtime were
 * asked for and that cannot be had; otherwise a doubt goes with the device, for whoever finds that this runtime is taken.
 */
export function onItsCard(
  chosen: ChosenGpu,
  listing: GpuListing,
  asked: { readonly gpu: GpuChoice; readonly runtime: string; readonly adapter: string },
): ChosenGpu {
  if (chosen.kind === 'cpu') return chosen;
  const card = webgpuCard(chosen.identity.uuid, listing, asked.adapter);
  if (card.kind === 'own') {
    const named = card.adapter === null ? {} : { [adapterVariable]: card.adapter };
    return { ...chosen, environment: { ...chosen.environment, ...named } };
  }
  const particular = asked.gpu.kind === 'index' || asked.gpu.kind === 'uuid';
  if (particular && asked.runtime === 'webgpu')
    throw new GpuNotFound(`--gpu cannot be kept with --runtime webgpu: ${card.reason}`);
  return { ...chosen, device: { ...chosen.device, webgpuDoubt: card.reason } };
}
