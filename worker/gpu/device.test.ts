import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { chooseGpu, cpuDevice, parseGpuChoice } from './device.js';
import {
  hasNvidiaDriver,
  listGpus,
  nvidiaSmi,
  parseGpuParts,
  parseGpus,
  type GpuListing,
  type NvidiaSmi,
} from './nvidia-smi.js';

/** Answers of `nvidia-smi` in its own format. */
const twoGpus = [
  '0, GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77, NVIDIA H100 80GB HBM3, 81559, 1200, 535.129.03',
  '1, GPU-b1028956-cfa2-0990-bf4a-5da9abb51763, NVIDIA H100 80GB HBM3, 81559, 80998, 535.129.03',
  '',
].join('\n');
const unifiedMemory = '0, GPU-11111111-0000-0000-0000-000000000000, NVIDIA GB10, [N/A], [N/A], 580.95.05\n';
const partitioned = `GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
  MIG 3g.20gb     Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
  MIG 1g.5gb+me   Device  1: (UUID: MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-b1028956-cfa2-0990-bf4a-5da9abb51763)
  MIG 7g.40gb     Device  0: (UUID: MIG-GPU-b1028956-cfa2-0990-bf4a-5da9abb51763/7/0)
`;
const mebibyte = 2 ** 20;

const smi =
  (query: string, list = ''): NvidiaSmi =>
  (args) =>
    Promise.resolve({ ok: true, output: args[0] === '-L' ? list : query });
const failing =
  (reason: string): NvidiaSmi =>
  () =>
    Promise.resolve({ ok: false, reason });

describe('what nvidia-smi says', () => {
  it('becomes GPUs', () => {
    expect(parseGpus(twoGpus)).toEqual([
      {
        ...{ index: 0, uuid: 'GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77', name: 'NVIDIA H100 80GB HBM3' },
        ...{ memoryBytes: 81559 * mebibyte, freeMemoryBytes: 1200 * mebibyte, driver: '535.129.03' },
      },
      expect.objectContaining({ index: 1, freeMemoryBytes: 80998 * mebibyte }),
    ]);
  });

  it('may leave the memory open', () => {
    expect(parseGpus(unifiedMemory)).toMatchObject([
      { name: 'NVIDIA GB10', memoryBytes: null, freeMemoryBytes: null },
    ]);
  });

  it('may be no list at all', async () => {
    expect(parseGpus('No devices were found\n')).toEqual([]);
    expect(await listGpus(smi('No devices were found\n'))).toEqual({
      ...{ kind: 'none', reason: 'nvidia-smi lists no GPU (No devices were found)' },
    });
    const broken =
      "nvidia-smi: NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.";
    expect(await listGpus(failing(broken))).toEqual({ kind: 'none', reason: broken });
  });

  it('names the parts of a partitioned GPU', () => {
    expect(parseGpuParts(partitioned)).toEqual([
      {
        ...{ uuid: 'MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f', name: 'MIG 3g.20gb' },
        ...{ memoryBytes: 20 * 1024 * mebibyte, gpuIndex: 0 },
      },
      expect.objectContaining({ name: 'MIG 1g.5gb+me', memoryBytes: 5 * 1024 * mebibyte }),
      expect.objectContaining({ uuid: 'MIG-GPU-b1028956-cfa2-0990-bf4a-5da9abb51763/7/0', gpuIndex: 1 }),
    ]);
  });

  it('may be without a card although its driver is loaded', () => {
    const root = mkdtempSync(path.join(tmpdir(), 'parzen-driver-'));
    try {
      expect(hasNvidiaDriver(root)).toBe(false);
      mkdirSync(path.join(root, 'proc/driver/nvidia'), { recursive: true });
      expect(hasNvidiaDriver(root)).toBe(false);
      writeFileSync(path.join(root, 'proc/driver/nvidia/version'), 'NVRM version: 580.159.04');
      expect(hasNvidiaDriver(root)).toBe(true);
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  it('is asked without a shell, and a missing program is an answer', async () => {
    const answer = await nvidiaSmi(['--version']);
    if (!answer.ok) expect(answer.reason).toMatch(/^nvidia-smi/);
  });
});

describe('--gpu', () => {
  it('takes auto, none, an index or a UUID', () => {
    expect(parseGpuChoice('auto')).toEqual({ kind: 'auto' });
    expect(parseGpuChoice('none')).toEqual({ kind: 'none' });
    expect(parseGpuChoice('3')).toEqual({ kind: 'index', index: 3 });
    expect(parseGpuChoice('GPU-5d5b')).toEqual({ kind: 'uuid', uuid: 'GPU-5d5b' });
    expect(parseGpuChoice('MIG-GPU-b1/7/0')).toEqual({ kind: 'uuid', uuid: 'MIG-GPU-b1/7/0' });
    for (const text of ['', '-1', '1.5', 'cuda', 'GPU-', 'GPU-a;b', '0,1'])
      expect(parseGpuChoice(text)).toBeNull();
  });

  const machine = async (visible?: string, list = '') => {
    const listing = await listGpus(smi(twoGpus, list));
    return (text: string, slots = 1) => {
      const choice = parseGpuChoice(text);
      if (choice === null) throw new Error(text);
      return chooseGpu(choice, listing, { slots, visible });
    };
  };

  it('auto is the GPU with the most free memory; trainers see no other', async () => {
    const choose = await machine();
    expect(choose('auto')).toEqual({
      kind: 'gpu',
      device: {
        ...{ uuid: 'GPU-b1028956-cfa2-0990-bf4a-5da9abb51763', name: 'NVIDIA H100 80GB HBM3' },
        memoryBytes: 81559 * mebibyte,
      },
      identity: {
        ...{ uuid: 'GPU-b1028956-cfa2-0990-bf4a-5da9abb51763', model: 'NVIDIA H100 80GB HBM3' },
        ...{ migProfile: '', driver: '535.129.03' },
      },
      environment: {
        CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
        CUDA_VISIBLE_DEVICES: 'GPU-b1028956-cfa2-0990-bf4a-5da9abb51763',
        TF_FORCE_GPU_ALLOW_GROWTH: 'true',
      },
    });
  });

  it('an index and a UUID are themselves; slots share the memory', async () => {
    const choose = await machine();
    expect(choose('0', 4)).toMatchObject({ device: { memoryBytes: Math.floor((81559 * mebibyte) / 4) } });
    expect(choose('GPU-5d5ba0d6')).toMatchObject({
      device: { uuid: 'GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77' },
    });
  });

  it('a part is itself, and a card that is partitioned is the largest of its parts: it computes nothing itself', async () => {
    const choose = await machine(undefined, partitioned);
    expect(choose('MIG-c6d4')).toMatchObject({
      // Others know the whole card only.
      identity: { uuid: 'GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77', migProfile: '3g.20gb' },
      device: { name: 'MIG 3g.20gb', memoryBytes: 20 * 1024 * mebibyte },
      environment: { CUDA_VISIBLE_DEVICES: 'MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f' },
    });
    const largest = { device: { name: 'MIG 3g.20gb', memoryBytes: 20 * 1024 * mebibyte } };
    expect(choose('0')).toMatchObject(largest);
    expect(choose('GPU-5d5b')).toMatchObject(largest);
    expect(choose('auto')).toMatchObject({ device: { name: 'MIG 7g.40gb' } });
    expect((await machine('0', partitioned))('auto')).toMatchObject(largest);
    expect((await machine('MIG-cba6', partitioned))('auto')).toMatchObject({
      device: { name: 'MIG 1g.5gb+me', memoryBytes: 5 * 1024 * mebibyte },
    });
  });

  it('auto respects what the surroundings hide', async () => {
    expect((await machine('0'))('auto')).toMatchObject({
      device: { uuid: expect.stringMatching(/^GPU-5d5b/) },
    });
    expect((await machine('GPU-5d5b'))('auto')).toMatchObject({
      device: { uuid: expect.stringMatching(/^GPU-5d5b/) },
    });
    expect((await machine(''))('auto')).toMatchObject({
      kind: 'cpu',
      reason: expect.stringMatching(/hides/),
    });
  });

  it('what is not there is an error that lists what is', async () => {
    const choose = await machine(undefined, partitioned);
    expect(() => choose('7')).toThrow(/there is no GPU 7; this machine has: 0 NVIDIA H100 .* MIG 3g.20gb/);
    expect(() => choose('GPU-0000')).toThrow(/there is no GPU-0000/);
    const none: GpuListing = { kind: 'none', reason: 'nvidia-smi is not installed' };
    expect(() => chooseGpu({ kind: 'index', index: 0 }, none, { slots: 1, visible: undefined })).toThrow(
      /not installed/,
    );
  });

  it('none hides all GPUs; auto without any leaves the surroundings alone', async () => {
    expect((await machine())('none')).toMatchObject({
      kind: 'cpu',
      environment: { CUDA_VISIBLE_DEVICES: '' },
    });
    const none: GpuListing = { kind: 'none', reason: 'nvidia-smi is not installed' };
    expect(chooseGpu({ kind: 'auto' }, none, { slots: 1, visible: undefined })).toEqual({
      ...{ kind: 'cpu', reason: 'nvidia-smi is not installed', environment: {} },
    });
  });
});

describe('the CPU', () => {
  it('has its memory divided among the slots', () => {
    const [one, four] = [cpuDevice(1), cpuDevice(4)];
    expect(four.memoryBytes).toBe(Math.floor((one.memoryBytes ?? NaN) / 4));
    expect(one.uuid).toBeNull();
  });
});
