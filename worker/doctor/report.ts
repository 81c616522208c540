/** The doctor's findings as text for people. */
import type { GpuListing } from '../gpu/nvidia-smi.js';
import type { CacheReport, MachineReport } from './inspect-machine.js';
import type { RuntimeReport } from './inspect-runtimes.js';

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

function gpuLines(gpus: GpuListing): string[] {
  if (gpus.kind === 'none') return [`gpu        none: ${gpus.reason}`];
  return gpus.gpus.flatMap(({ index, name, uuid, memoryBytes, freeMemoryBytes, driver }) => {
    const memory = memoryBytes === null ? 'memory unknown' : gibibytes(memoryBytes);
    const free = freeMemoryBytes === null ? '' : `, ${gibibytes(freeMemoryBytes)} free`;
    const parts = gpus.parts.filter(({ gpuIndex }) => gpuIndex === index);
    return [
      `gpu ${String(index).padEnd(6)} ${name}, ${memory}${free}, driver ${driver}, ${uuid}`,
      ...parts.map((part) => `           part ${part.name}, ${part.uuid}`),
    ];
  });
}

function cacheLine({ directory, datasets, freeBytes, problem }: CacheReport): string {
  const held =
    datasets === null
      ? 'not there yet'
      : `${datasets.count} data sets, ${(datasets.bytes / 2 ** 20).toFixed(1)} MiB`;
  const free = freeBytes === null ? '' : `, ${gibibytes(freeBytes)} free`;
  return `cache      ${directory}: ${problem ?? `${held}${free}`}`;
}

/** The machine, one line each. */
export function machineLines({ versions, processor, memory, gpus, cache }: MachineReport): string[] {
  const limit = memory.limitBytes === null ? 'no limit' : `limited to ${gibibytes(memory.limitBytes)}`;
  const counted = memory.killsCounted ? '' : "; the kernel's out-of-memory kills are not visible here";
  const { worker, node, v8, tensorflowJs, system } = versions;
  return [
    `versions   worker ${worker}, Node ${node} (V8 ${v8}), TensorFlow.js ${tensorflowJs}, ${system}`,
    `processor  ${processor.model}, ${processor.cores} cores, ${processor.usable} usable`,
    `memory     ${gibibytes(memory.totalBytes)}, ${gibibytes(memory.freeBytes)} free, ${limit}${counted}`,
    ...gpuLines(gpus),
    cacheLine(cache),
  ];
}

/** The runtimes, one line each. */
export const runtimeLines = (runtimes: readonly RuntimeReport[]): string[] =>
  runtimes.map(({ name, usable, reason, automatic }) => {
    const state = usable ? 'ok ' : 'no ';
    return `runtime    ${state} ${name}${automatic ? ' (auto)' : ''}: ${reason}`;
  });
