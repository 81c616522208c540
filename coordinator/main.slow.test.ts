import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { projectRoot, Workplace } from '../test/helpers/cli.js';

describe('coordinator, the program', () => {
  let place: Workplace;
  beforeEach(() => {
    place = new Workplace();
  });
  afterEach(() => place.remove());

  const program = path.join(projectRoot, 'bin', 'coordinator.js');

  it('ends quietly when nobody reads its output any more', () => {
    const seeds = Array.from({ length: 20_000 }, (_, seed) => seed);
    const input = JSON.stringify({ space: [{ name: 'x', low: 0, high: 1 }], n_startup_trials: 1, seeds });
    const { stdout, stderr } = spawnSync(
      'bash',
      ['-c', `set -o pipefail; "$0" "$1" suggest | head -1; echo "code $?"`, process.execPath, program],
      { input, encoding: 'utf8', cwd: place.directory },
    );
    expect(stdout).toMatch(/^\{"seed":0,.*\}\ncode 0\n$/);
    expect(stderr).toBe('');
  });

  it('prints nothing for no seeds', async () => {
    const input = JSON.stringify({ space: [{ name: 'x', low: 0, high: 1 }], seeds: [] });
    expect(await place.run('coordinator', ['suggest', '--json'], input)).toMatchObject({
      code: 0,
      stdout: '',
    });
  });

  it('ends with 2 when it was used wrongly', async () => {
    for (const [args, wanted] of [
      [['start', '--workers', '0x1'], 'Give auto or a number from 0 to 1024.'],
      [['start', '--listen', '127.0.0.1:65536'], 'Give HOST:PORT'],
      [['status', '--coordinator', '127.0.0.1:65536'], 'Give HOST:PORT'],
      [['data', 'synth', '--seed', 'abc'], 'Give a whole number'],
      [['status', '--storage', 'x', '--coordinator', '127.0.0.1:1'], 'not both'],
    ] as const) {
      const { code, stderr } = await place.run('coordinator', args);
      expect(stderr).toContain(wanted);
      expect(code).toBe(2);
    }
  });

  it('makes no store where it only looks for one', async () => {
    for (const args of [
      ['status'],
      ['top', 'x'],
      ['best', 'x'],
      ['export', 'x'],
      ['enqueue', 'x', '{}'],
      ['data', 'list'],
      ['study', 'delete', 'x'],
    ]) {
      const { code, stderr } = await place.run('coordinator', [...args, '--storage', 'typo']);
      expect(stderr).toMatch(/^coordinator: there is no store in typo; [^\n]*\n$/);
      expect(code).toBe(1);
    }
    expect(place.has('typo')).toBe(false);
    const made = await place.run('coordinator', ['data', 'synth', '--bars', '10', '--storage', 'new']);
    expect(made).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('stored synthetic: 10 bars') as string,
    });
  });
});
