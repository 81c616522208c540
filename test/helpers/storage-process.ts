/** Starts and kills processes that own a store (`storage-child.ts`, from the compiled `dist/`). */
import { spawn, type ChildProcess, type SpawnOptionsWithoutStdio } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';

const program = path.resolve(import.meta.dirname, '../../dist/test/helpers/storage-child.js');

export interface StorageProcess {
  readonly pid: number;
  /** Numbers of the trials that were acknowledged as finished so far. */
  readonly acknowledged: readonly number[];
  /** Resolves with the first line that starts so; rejects when the process ends before. */
  line(start: string): Promise<string>;
  /** Resolves when this many trials were acknowledged. */
  acks(count: number): Promise<void>;
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Lets it end cleanly. */
  end(): Promise<void>;
}

export function startStorageProcess(
  args: readonly string[],
  options: SpawnOptionsWithoutStdio = {},
): StorageProcess {
  if (!existsSync(program)) throw new Error(`${program} is missing: run npm run build first`);
  const child = spawn(process.execPath, [program, ...args], {
    ...options,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  const acknowledged: number[] = [];
  const waiting = new Set<() => void>();
  const wake = (): void => waiting.forEach((each) => each());
  let ended = false;
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  void closed.then(() => {
    ended = true;
    wake();
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('ack ')) acknowledged.push(Number(line.slice(4)));
    else lines.push(line);
    wake();
  });
  const until = <T>(what: string, find: () => T | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = find();
        if (found === undefined && !ended) return;
        waiting.delete(look);
        if (found !== undefined) resolve(found);
        else reject(new Error(`the process ended without ${what}; it said: ${lines.join(' | ')}`));
      };
      waiting.add(look);
      look();
    });
  return {
    pid: pidOf(child),
    acknowledged,
    line: (start) => until(start, () => lines.find((line) => line.startsWith(start))),
    acks: (count) =>
      until(`${count} acks`, () => (acknowledged.length >= count ? null : undefined)).then(() => undefined),
    kill: (signal) => {
      child.kill(signal);
      return closed;
    },
    end: () => {
      child.stdin.end();
      return closed;
    },
  };
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error('the process did not start');
  return child.pid;
}

/** Waits until `condition` holds. */
export async function eventually(condition: () => boolean, what: string, limitMs = 20_000): Promise<void> {
  const startMs = Date.now();
  while (!condition()) {
    if (Date.now() - startMs > limitMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
