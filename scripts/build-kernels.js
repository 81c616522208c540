// Compiles the SIMD kernels of the wasm runtime (worker/trainers/runtime/kernels, AssemblyScript) to one WebAssembly file
// in dist/. Their sources end in .as and not .ts, so that TypeScript and its linters leave them alone.
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const sources = path.join(root, 'worker/trainers/runtime/kernels');
const output = path.join(root, 'dist/worker/trainers/runtime/kernels.wasm');

const changedAt = async (file) => (await stat(file).catch(() => null))?.mtimeMs ?? 0;

async function isCurrent() {
  const names = (await readdir(sources)).map((name) => path.join(sources, name));
  const inputs = [...names, fileURLToPath(import.meta.url)];
  const newest = Math.max(...(await Promise.all(inputs.map(changedAt))));
  return (await changedAt(output)) > newest;
}

/** The compiler asks for name.ts; only files of the kernels exist, everything else is its own library. */
async function readSource(name) {
  const file = path.join(sources, name.replace(/\.ts$/, '.as'));
  return readFile(file, 'utf8').catch(() => null);
}

async function compile() {
  // The compiler takes a second to load: only when it is needed.
  const { default: asc } = await import('assemblyscript/asc');
  await mkdir(path.dirname(output), { recursive: true });
  const options = ['--outFile', 'kernels.wasm', '-O3', '--noAssert', '--runtime', 'stub', '--enable', 'simd'];
  const { error, stderr } = await asc.main(['index.ts', ...options], {
    readFile: readSource,
    writeFile: (_name, contents) => writeFile(output, contents),
    listFiles: () => [],
  });
  if (error) {
    console.error(stderr.toString());
    process.exitCode = 1;
  }
}

if (!(await isCurrent())) await compile();
