// `npm run fuzz -- [--inputs=3500] [--seed=N]`: the property tests of everything that takes input from outside, on many
// more inputs per property than `npm test` tries. Each prints how many, and the seed that repeats them.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';

const root = path.dirname(import.meta.dirname);
const { values } = parseArgs({
  options: { inputs: { type: 'string', default: '3500' }, seed: { type: 'string' } },
});
const seed = values.seed ?? String(Math.floor(Math.random() * 2 ** 31));
const env = { ...process.env, FUZZ_INPUTS: values.inputs, FUZZ_SEED: seed };
const vitest = path.join(root, 'node_modules', 'vitest', 'vitest.mjs');
const args = ['run', 'test/fuzz', '--testTimeout=3600000'];
const { status } = spawnSync(process.execPath, [vitest, ...args], { cwd: root, env, stdio: 'inherit' });
process.exit(status ?? 1);
