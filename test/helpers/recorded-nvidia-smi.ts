/** An `nvidia-smi` that answers what was recorded on some machine (test/fixtures/nvidia-smi). */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { NvidiaSmi } from '../../worker/gpu/nvidia-smi.js';
import { projectRoot } from './cli.js';

const folder = path.join(projectRoot, 'test/fixtures/nvidia-smi');

export const recordedMachines = readdirSync(folder)
  .filter((file) => file.endsWith('.txt'))
  .map((file) => file.replace(/\.txt$/, ''));

/** Answers calls that were recorded; any other fails, as a call that the driver does not know. */
export function recordedNvidiaSmi(machine: string): NvidiaSmi {
  const text = readFileSync(path.join(folder, `${machine}.txt`), 'utf8');
  const calls = new Map(
    [...text.matchAll(/^===== \$ nvidia-smi (.*)\n([^]*?)^===== exit (\d+)$/gm)].map(
      ([, args = '', output = '', exit]) => [args, { output, ok: exit === '0' }],
    ),
  );
  return (args) => {
    const call = calls.get(args.join(' '));
    if (call === undefined) return Promise.resolve({ ok: false, reason: 'not recorded' });
    return Promise.resolve(call.ok ? { ok: true, output: call.output } : { ok: false, reason: call.output });
  };
}
