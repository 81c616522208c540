/** The coordinator under measurement, in a process of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';

const program = path.resolve(import.meta.dirname, '../../../bin/coordinator.js');

export interface Coordinator {
  readonly pid: number;
  readonly address: string;
  /** From the start of the process until it said that it is ready, ms. */
  readonly readyMs: number;
  kill(signal: NodeJS.Signals): Promise<void>;
}

export async function startCoordinator(
  storage: string,
  nodeOptions: readonly string[] = [],
): Promise<Coordinator> {
  const startMs = performance.now();
  const child = spawn(
    process.execPath,
    [
      ...nodeOptions,
      program,
      'start',
      '--storage',
      storage,
      '--listen',
      '127.0.0.1:0',
      '--log-format',
      'json',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const address = await readAddress(child);
  return {
    pid: child.pid ?? 0,
    address,
    readyMs: performance.now() - startMs,
    kill: (signal) => {
      child.kill(signal);
      return ended;
    },
  };
}

function readAddress(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (said.length < 100_000) said += text;
      const ready = /"listen":"([^"]+)","msg":"coordinator ready"/.exec(said);
      if (ready?.[1] !== undefined) resolve(ready[1]);
    });
    child.once('exit', () => reject(new Error(`the coordinator ended: ${said}`)));
  });
}
