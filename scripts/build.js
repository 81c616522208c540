// Builds everything `npm ci` must leave behind: the generated wire code, the compiled JavaScript in dist/, and
// the trainer's WebAssembly kernels beside it.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const tool = (name) => path.join(root, 'node_modules', '.bin', name);

function run(command, args) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (result.error) throw result.error;
  if (result.status !== 0) process.exit(result.status ?? 1);
}

run(tool('buf'), ['generate']);
// Unchecked: for sources whose types have been checked already.
const unchecked = process.env['PARZEN_BUILD_UNCHECKED'] === 'true' ? ['--noCheck'] : [];
run(tool('tsc'), ['--project', 'tsconfig.json', ...unchecked]);
run(process.execPath, [path.join(root, 'scripts', 'build-kernels.js')]);
