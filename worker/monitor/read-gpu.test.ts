import { describe, expect, it } from 'vitest';
import type { Clock } from '../../shared/platform/clock.js';
import { recordedMachines, recordedNvidiaSmi } from '../../test/helpers/recorded-nvidia-smi.js';
import { chooseGpu } from '../gpu/device.js';
import { listGpus, type NvidiaSmi } from '../gpu/nvidia-smi.js';
import { parseReading, readCudaVersion, watchGpu, type GpuReading } from './read-gpu.js';

const mebibyte = 2 ** 20;

/** The first readings of a GPU; time passes at once. */
async function readings(uuid: string, run: NvidiaSmi, count = 1): Promise<(GpuReading | null)[]> {
  const seen: (GpuReading | null)[] = [];
  const over = new AbortController();
  const clock: Clock = { nowMs: () => 0, sleep: () => Promise.resolve() };
  const show = (reading: GpuReading | null): void => {
    if (seen.push(reading) === count) over.abort();
  };
  await watchGpu({ ...{ uuid, clock, intervalMs: 1, over: over.signal }, show, run });
  return seen;
}

/** What a worker with `--gpu auto` finds on a recorded machine. */
async function onMachine(name: string) {
  const run = recordedNvidiaSmi(name);
  const chosen = chooseGpu({ kind: 'auto' }, await listGpus(run), { slots: 1, visible: undefined });
  if (chosen.kind === 'cpu') throw new Error(chosen.reason);
  const [reading] = await readings(chosen.identity.uuid, run);
  return { ...chosen, reading };
}

describe('what a GPU says of itself', () => {
  it('is read of a partitioned card beside another one; errors of its memory are counted', async () => {
    const { device, identity } = await onMachine('two-cards-one-in-mig-mode');
    expect(device).toMatchObject({ name: 'MIG 3g.20gb', memoryBytes: 20 * 1024 * mebibyte });
    const run = recordedNvidiaSmi('two-cards-one-in-mig-mode');
    expect(await readings(identity.uuid, run)).toEqual([
      {
        ...{ memoryUsedBytes: 45 * mebibyte, memoryTotalBytes: 40_960 * mebibyte, utilisation: null },
        ...{ celsius: 34, watts: 52.11, eccCorrected: 12, eccUncorrected: 2 },
      },
    ]);
    expect(await readings('GPU-b1028956-cfa2-0990-bf4a-5da9abb51763', run)).toMatchObject([
      { utilisation: 0.97, watts: 388.92, eccCorrected: 0, eccUncorrected: 0 },
    ]);
    expect(await readCudaVersion(run)).toBe('12.4');
  });

  it('is little in a pod with one slice, whose memory is known all the same', async () => {
    const { device, identity, environment, reading } = await onMachine('slice-in-a-pod');
    expect(device).toEqual({
      ...{ uuid: 'MIG-f1a7ef36-2d47-5bd3-8b06-7b8a6b2f7d0e', name: 'MIG 1g.10gb' },
      memoryBytes: 10 * 1024 * mebibyte,
    });
    expect(identity).toMatchObject({ uuid: expect.stringMatching(/^GPU-5d5b/), migProfile: '1g.10gb' });
    expect(environment).toMatchObject({ CUDA_VISIBLE_DEVICES: device.uuid });
    expect(reading).toEqual({
      ...{ memoryUsedBytes: null, memoryTotalBytes: null, utilisation: null, celsius: 41, watts: 120.03 },
      ...{ eccCorrected: null, eccUncorrected: null },
    });
  });

  it('is asked again in fewer words where a driver does not know all of them; broken sensors say nothing', async () => {
    const { reading } = await onMachine('old-driver-broken-sensor');
    expect(reading).toEqual({
      ...{ memoryUsedBytes: 539 * mebibyte, memoryTotalBytes: 24_576 * mebibyte, utilisation: 0 },
      ...{ celsius: null, watts: null, eccCorrected: null, eccUncorrected: null },
    });
  });

  it('is all there on a whole card', async () => {
    const { device, identity, reading } = await onMachine('h200');
    expect(device).toMatchObject({ name: 'NVIDIA H200', memoryBytes: 143_771 * mebibyte });
    expect(identity).toMatchObject({ uuid: device.uuid, migProfile: '', driver: '580.159.04' });
    expect(reading).toEqual({
      ...{ memoryUsedBytes: 0, memoryTotalBytes: 143_771 * mebibyte, utilisation: 0, celsius: 35 },
      ...{ watts: 77.28, eccCorrected: 0, eccUncorrected: 0 },
    });
    const run = recordedNvidiaSmi('h200');
    expect(await readCudaVersion(run)).toBe('13.0');
    expect(await readings('GPU-00000000-0000-0000-0000-000000000000', run)).toEqual([null]);
  });

  it('goes away and comes back with the driver', async () => {
    const machine = recordedNvidiaSmi('two-cards-one-in-mig-mode');
    let calls = 0;
    const failing: NvidiaSmi = (args) =>
      (calls += 1) <= 2 ? Promise.resolve({ ok: false, reason: 'GPU is lost' }) : machine(args);
    const seen = await readings('GPU-b1028956-cfa2-0990-bf4a-5da9abb51763', failing, 2);
    expect(seen).toEqual([null, expect.objectContaining({ celsius: 71 })]);
  });

  it('is nothing where the text is another one', () => {
    for (const text of ['', 'No devices were found', '1, 2, 3', 'Unable to determine the device handle'])
      expect(parseReading(text)).toBeNull();
  });

  it.each(recordedMachines)('%s: a GPU that can be used, and a reading of it', async (name) => {
    const { device, reading } = await onMachine(name);
    expect(device.memoryBytes).toBeGreaterThan(1_000 * mebibyte);
    expect(reading).not.toBeNull();
  });
});
