import { describe, expect, it } from 'vitest';
import type { Gpu, GpuListing } from './nvidia-smi.js';
import { chooseGpu, parseGpuChoice, type ChosenGpu } from './device.js';
import { onItsCard, webgpuCard } from './webgpu-card.js';

const machine = (...names: string[]): GpuListing => ({
  ...{ kind: 'gpus', parts: [] },
  gpus: names.map((name, index): Gpu => {
    const memory = { memoryBytes: null, freeMemoryBytes: null };
    return { index, uuid: `GPU-${index}`, name, ...memory, driver: '580' };
  }),
});

describe('the card of the webgpu runtime', () => {
  it('is the only one, whatever it is called', () => {
    expect(webgpuCard('GPU-0', machine('NVIDIA H200'), '')).toEqual({ kind: 'own', adapter: null });
  });

  it('is named to Dawn among cards of other names', () => {
    const mixed = machine('NVIDIA H200', 'NVIDIA L4');
    expect(webgpuCard('GPU-1', mixed, '')).toEqual({ kind: 'own', adapter: 'NVIDIA L4' });
    expect(webgpuCard('GPU-1', mixed, 'l4')).toEqual({ kind: 'own', adapter: 'l4' });
    expect(webgpuCard('GPU-0', mixed, 'l4')).toMatchObject({
      ...{ kind: 'doubtful', reason: expect.stringMatching(/--adapter l4 is not GPU 0, NVIDIA H200; give/) },
    });
  });

  it('is in doubt among cards of one name, or of a name within the other', () => {
    const equal = machine('NVIDIA H200', 'NVIDIA H200', 'NVIDIA H200 NVL');
    for (const uuid of ['GPU-0', 'GPU-1'])
      expect(webgpuCard(uuid, equal, '')).toMatchObject({
        ...{ kind: 'doubtful', reason: expect.stringContaining("3 cards called 'NVIDIA H200'") },
      });
    expect(webgpuCard('GPU-2', equal, '')).toEqual({ kind: 'own', adapter: 'NVIDIA H200 NVL' });
  });

  const started = (listing: GpuListing, which: string, runtime: string): ChosenGpu => {
    const gpu = parseGpuChoice(which)!;
    const chosen = chooseGpu(gpu, listing, { slots: 1, visible: undefined });
    return onItsCard(chosen, listing, { gpu, runtime, adapter: '' });
  };

  it('is refused when it was asked for and cannot be kept, and told of when another runtime may be taken', () => {
    const equal = machine('NVIDIA H200', 'NVIDIA H200');
    expect(() => started(equal, '1', 'webgpu')).toThrow(
      /^--gpu cannot be kept with --runtime webgpu: .* container/,
    );
    const doubt = { device: { uuid: 'GPU-1', webgpuDoubt: expect.stringContaining('the first') } };
    expect(started(equal, '1', 'auto')).toMatchObject(doubt);
    expect(started(equal, 'none', 'webgpu').kind).toBe('cpu');
    const mixed = started(machine('NVIDIA H200', 'NVIDIA L4'), '1', 'webgpu');
    expect(mixed.environment).toMatchObject({ PARZEN_WEBGPU_ADAPTER: 'NVIDIA L4' });
    expect(mixed).not.toHaveProperty('device.webgpuDoubt');
  });
});
