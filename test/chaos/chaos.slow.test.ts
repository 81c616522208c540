/** A short run of `npm run chaos`: real processes, killed and cut off at random, and the audit of what is left. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { projectRoot } from '../helpers/cli.js';

const program = path.join(projectRoot, 'dist/test/chaos/main.js');
const seconds = 15;

describe.skipIf(process.platform !== 'linux')('chaos (needs Linux: it finds processes in /proc)', () => {
  it('loses nothing and counts nothing twice', async () => {
    if (!existsSync(program)) throw new Error('dist/ is missing: npm run build');
    const seed = Math.floor(Math.random() * 1e6);
    const chaos = spawn(process.execPath, [program, `--seconds=${seconds}`, `--seed=${seed}`]);
    let output = '';
    for (const stream of [chaos.stdout, chaos.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    const code = await new Promise((resolve) => chaos.once('close', resolve));
    expect({ code, output }).toMatchObject({ code: 0 });
    const [, acknowledged, finished, budget] =
      /acknowledged=(\d+) lost=0 duplicated=0 finished=(\d+)\/(\d+)/.exec(output) ?? [];
    expect(Number(acknowledged)).toBeGreaterThan(0);
    expect(finished).toBe(budget);
    console.log(output.trim());
  });
});
