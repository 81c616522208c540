/** Options that several commands have, and values of options as they are typed; what cannot be one is refused with what would be right. */
import { InvalidArgumentError, Option } from 'commander';
import { adapterVariable } from './trainers/runtime/webgpu/adapter.js';
import { parseGpuChoice, type GpuChoice } from './gpu/device.js';

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 1_024)
    throw new InvalidArgumentError('Give a whole number from 1 to 1024.');
  return value;
}

export function drainSeconds(text: string): number {
  const value = text.trim() === '' ? NaN : Number(text);
  if (!(value >= 0 && value <= 86_400)) throw new InvalidArgumentError('Give seconds from 0 to 86400.');
  return value;
}

export function roundTrips(text: string): number {
  const value = text.trim() === '' ? NaN : Number(text);
  if (!(value >= 0 && value <= 1_000)) throw new InvalidArgumentError('Give a number from 0 to 1000.');
  return value;
}

export function address(text: string): string {
  if (!/^[^\s:]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/.test(text))
    throw new InvalidArgumentError('Give HOST:PORT, for example 127.0.0.1:50051.');
  return text;
}

/** `dns:///` spreads calls over all addresses of the name. */
export function coordinatorAddress(text: string): string {
  address(text.replace(/^dns:\/\/\//, ''));
  return text;
}

const sizeUnits: Readonly<Record<string, number>> = { M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

export function memorySize(text: string): number {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)([MGT])i?B?$/.exec(text) ?? [];
  const bytes = Math.floor(Number(digits) * (sizeUnits[unit] ?? NaN));
  if (!Number.isSafeInteger(bytes) || bytes < 1)
    throw new InvalidArgumentError('Give a size, for example 4G or 512M.');
  return bytes;
}

export function gpuChoice(text: string): GpuChoice {
  const choice = parseGpuChoice(text);
  if (choice === null)
    throw new InvalidArgumentError(
      'Give auto, none, an index (0) or a UUID as nvidia-smi -L shows it (GPU-…).',
    );
  return choice;
}

/** `what` the runtime is for. */
export const runtimeOption = (what = 'training runtime'): Option =>
  new Option('--runtime <name>', `${what}: auto or a name`).default('auto').env('PARZEN_RUNTIME');

export const adapterOption = (): Option =>
  new Option(
    '--adapter <name>',
    "part of the name of the webgpu runtime's adapter (default: the fastest GPU)",
  ).env(adapterVariable);

export const trainersOption = (): Option =>
  new Option('--trainers <file>', 'programs that studies may use as trainers').env('PARZEN_TRAINERS');
