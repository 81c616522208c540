/** Which trainers a worker offers, and the process that runs each. */
import path from 'node:path';
import type { Log } from '../../shared/platform/log.js';
import { cpuDevice, type Device } from '../gpu/device.js';
import { ChildTrainer } from '../trainers/child-trainer.js';
import type { CommandTrainers } from '../trainers/command/definition.js';
import { hermitePreflight, usesGpu } from '../trainers/hermite/preflight.js';
import { childTrainers } from '../trainers/protocol.js';

export interface TrainerProcessOptions {
  /** Path of the compiled process of the built-in trainers. */
  readonly childPath: string;
  /** Training runtime: `auto` or a name. */
  readonly runtime: string;
  /** Programs that this worker allows. */
  readonly commands: CommandTrainers;
  /** The trainers' environment; this process's own when it is not given. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly device: Device;
  /** Memory of the machine that one trial may use, bytes. */
  readonly hostMemoryBytes: number;
  readonly log: Log;
}

/** Names of all trainers that the worker can run, as it announces them. */
export const offeredTrainers = (commands: CommandTrainers): readonly string[] => [
  ...childTrainers,
  ...commands.keys(),
];

/** The compiled process that runs programs, beside the one of the built-in trainers. */
const commandChildPath = (childPath: string): string =>
  path.join(path.dirname(childPath), 'command', 'command-child.js');

/**
 * A step leaves some two megabytes of short-lived objects. In the young generation that Node.js begins with they cause a collection of
 * the whole heap five times a second, a tenth of the processor time of the smallest models; this one costs 35 MB.
 */
export const trainerNodeFlags = ['--min-semi-space-size=32', '--max-semi-space-size=32'] as const;

/** A process for trials of one trainer in one slot; it starts with the first trial. */
export function createTrainerProcess(trainer: string, options: TrainerProcessOptions): ChildTrainer {
  const { childPath, runtime, commands, device, hostMemoryBytes, log } = options;
  const common = { log, ...(options.environment === undefined ? {} : { environment: options.environment }) };
  const command = commands.get(trainer);
  if (command !== undefined)
    return new ChildTrainer({
      ...common,
      childPath: commandChildPath(childPath),
      args: [trainer],
      keepProcess: false,
      runMessage: (job) => ({ type: 'run', job, command }),
    });
  const memory = { hostMemoryBytes, gpuMemoryBytes: device.uuid === null ? null : device.memoryBytes };
  return new ChildTrainer({
    ...common,
    childPath,
    args: [trainer, runtime],
    nodeFlags: trainerNodeFlags,
    ...(trainer === 'hermite' ? { preflight: (job, chosen) => hermitePreflight(job, chosen, memory) } : {}),
  });
}

/** What the trials of a worker really run on. */
export interface DeviceInUse {
  readonly device: Device;
  /** Name of the runtime where it is known already, else what was asked for. */
  readonly runtime: string;
}

/**
 * A worker with a GPU starts its trainer before it registers: when the runtime turns out to be one of the CPU, and no program
 * of its own could use the GPU, it must not promise the GPU's memory. `hermite` is the process of the first slot.
 */
export async function deviceInUse(
  { device, runtime, commands, hostMemoryBytes, log }: TrainerProcessOptions,
  hermite: () => ChildTrainer,
): Promise<DeviceInUse> {
  if (device.uuid === null) return { device, runtime };
  const started = await hermite().start();
  if (started.kind === 'refused') return { device, runtime };
  if (started.runtime === 'webgpu' && device.webgpuDoubt !== undefined)
    log.warn(
      { gpu: device.uuid, reason: device.webgpuDoubt },
      'trials may run on another GPU than the one registered',
    );
  if (usesGpu(started.runtime)) return { device, runtime: started.runtime };
  log.warn(
    { gpu: device.name, runtime: started.runtime, reason: started.reason },
    'the GPU is not used by the hermite trainer',
  );
  return { device: commands.size > 0 ? device : cpuDevice(1, hostMemoryBytes), runtime: started.runtime };
}
