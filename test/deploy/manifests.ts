/** Kubernetes manifests as data: rendered by `kubectl kustomize` where it is installed, else as they were last rendered. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';

export const projectRoot = path.resolve(import.meta.dirname, '../..');
export const k8sFolder = path.join(projectRoot, 'k8s');
export const renderedFolder = path.join(import.meta.dirname, 'rendered');

const foldersIn = (folder: string): readonly string[] =>
  readdirSync(path.join(k8sFolder, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();

export const overlays = foldersIn('overlays');
export const components = foldersIn('components');

export interface Composition {
  /** An overlay, or the bare base. */
  readonly on: string;
  readonly added: readonly string[];
}

/** Compositions that no overlay makes, so that every component is rendered and checked at least once. */
export const compositions: Readonly<Record<string, Composition>> = {
  'prod with kueue, mig, data-fetch, metrics-tls': {
    on: 'prod',
    added: ['kueue', 'mig', 'data-fetch', 'metrics-tls'],
  },
  'prod with keda, time-slicing, readonly-root-gpu': {
    on: 'prod',
    added: ['keda', 'time-slicing', 'readonly-root-gpu'],
  },
  'base with embedded, insecure': { on: 'base', added: ['embedded', 'insecure'] },
};

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  // Shapes are the schema's business (schema.ts); the rules read what they need.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly [field: string]: any;
}

/** Documents of a YAML text. Throws for what is not YAML, and for a key that stands twice. */
export function parseManifests(text: string, name: string): readonly Manifest[] {
  return parseAllDocuments(text, { uniqueKeys: true, merge: true })
    .map((document) => {
      if (document.errors.length > 0) throw new Error(`${name}: ${document.errors[0]!.message}`);
      return document.toJS({ maxAliasCount: 100 }) as Manifest | null;
    })
    .filter((document) => document !== null);
}

const runs = (program: string): boolean =>
  spawnSync(program, ['version', '--client'], { encoding: 'utf8' }).status === 0;

/** Programs to render with: those named in PARZEN_KUBECTLS (paths separated by colons), and the one on the path. */
export const kubectls: readonly string[] = [
  ...(process.env['PARZEN_KUBECTLS'] ?? '').split(':').filter((program) => program !== ''),
  'kubectl',
].filter(runs);

export const kubectl = kubectls.length > 0;
if (!kubectl)
  console.warn(
    'kubectl is not installed: overlays are read as last rendered, patches and components are not tried',
  );

/** `kubectl kustomize`; throws with what it says. */
export function kustomize(folder: string, program = kubectls.at(-1) ?? 'kubectl'): string {
  const { status, stdout, stderr } = spawnSync(program, ['kustomize', folder], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) throw new Error(`kubectl kustomize ${folder}: ${stderr}`);
  return stdout;
}

interface OverlayKustomization {
  readonly resources?: readonly string[];
  readonly components?: readonly string[];
  readonly patches?: readonly { readonly path?: string }[];
  readonly replicas?: readonly { readonly name: string; readonly count: number }[];
}

/** Throws where the overlay names files of its own, which a kustomization elsewhere would not find. */
function overlayKustomization(name: string, root: string): OverlayKustomization {
  const file = path.join(root, 'overlays', name, 'kustomization.yaml');
  const [kustomization] = parseAllDocuments(readFileSync(file, 'utf8')).map(
    (document) => document.toJS() as OverlayKustomization,
  );
  if (kustomization === undefined || (kustomization.patches ?? []).some((patch) => patch.path !== undefined))
    throw new Error(`${file}: patches of an overlay stand in the kustomization itself`);
  return kustomization;
}

/**
 * An overlay with lines more in its `components:`, as the guide has it, or the base with components; rendered. With `keda` the
 * overlay's count of workers goes, as the guide says too. `root` is the folder that holds all.
 */
export function compose(on: string, added: readonly string[], root = k8sFolder): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'parzen-kustomize-'));
  const relative = (...to: string[]): string => path.relative(folder, path.join(root, ...to));
  const ofOverlay = (names: readonly string[] = []): string[] =>
    names.map((name) => relative('overlays', on, name));
  try {
    const own: OverlayKustomization = on === 'base' ? {} : overlayKustomization(on, root);
    const kustomization = {
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      ...own,
      resources: on === 'base' ? [relative(on)] : ofOverlay(own.resources),
      components: [
        ...ofOverlay(own.components),
        ...added.map((component) => relative('components', component)),
      ],
      replicas: (own.replicas ?? []).filter(
        ({ name }) => name !== 'parzen-worker' || !added.includes('keda'),
      ),
    };
    writeFileSync(path.join(folder, 'kustomization.yaml'), JSON.stringify(kustomization));
    return kustomize(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Renders at the first call only. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}

const cache = new Map<string, readonly Manifest[]>();

/** The manifests of an overlay. */
export function overlay(name: string): readonly Manifest[] {
  const known = cache.get(name);
  if (known !== undefined) return known;
  const text = kubectl
    ? kustomize(path.join(k8sFolder, 'overlays', name))
    : readFileSync(path.join(renderedFolder, `${name}.yaml`), 'utf8');
  const manifests = parseManifests(text, name);
  cache.set(name, manifests);
  return manifests;
}

/** Everything that can be checked: overlays, and compositions where kubectl makes them. */
export const everything: readonly (readonly [string, () => readonly Manifest[]])[] = [
  ...overlays.map((name) => [name, () => overlay(name)] as const),
  ...(kubectl
    ? Object.entries(compositions).map(
        ([name, { on, added }]) => [name, once(() => parseManifests(compose(on, added), name))] as const,
      )
    : []),
];

export const ofKind = (manifests: readonly Manifest[], kind: string): readonly Manifest[] =>
  manifests.filter((manifest) => manifest.kind === kind);

/** What makes pods, as far as this project has it. */
export const workloads = (manifests: readonly Manifest[]): readonly Manifest[] =>
  manifests.filter(({ kind }) => ['Deployment', 'StatefulSet', 'Job', 'DaemonSet'].includes(kind));

export const find = (manifests: readonly Manifest[], kind: string, name: string): Manifest | undefined =>
  manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
