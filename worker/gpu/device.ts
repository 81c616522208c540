import os from 'node:os';

/** The device that a worker's trials run on. */
export interface Device {
  /** Stable id of a GPU; null for the CPU. */
  readonly uuid: string | null;
  readonly name: string;
  /** Memory that one trial may use, bytes; null when unknown. */
  readonly memoryBytes: number | null;
}

/** The CPU: memory is the machine's, or the container's limit where that is smaller, divided among the slots. */
export function cpuDevice(slots: number): Device {
  const limit = process.constrainedMemory();
  const total = limit > 0 ? Math.min(limit, os.totalmem()) : os.totalmem();
  const model = os.cpus()[0]?.model.trim() ?? 'CPU';
  return { uuid: null, name: model, memoryBytes: Math.floor(total / slots) };
}
