/** Every overlay and composition is taken by a real API server: no unknown field, no warning, no breach of "restricted". */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiServer, apiServerFolder } from './api-server.js';
import {
  compose,
  compositions,
  kubectl,
  overlay,
  overlays,
  parseManifests,
  type Manifest,
} from './manifests.js';

const skipped = apiServerFolder === null;
const why = skipped
  ? ' (skipped: KUBEBUILDER_ASSETS names no folder with etcd, kube-apiserver and kubectl)'
  : '';

/** A kind of an operator that is not installed here, known to the server by name only: its fields are not looked at. */
function definition({ kind, apiVersion, metadata }: Manifest) {
  const [group, version] = apiVersion.split('/') as [string, string];
  const plural = `${kind.toLowerCase()}s`;
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  return {
    ...{ apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition' },
    metadata: {
      name: `${plural}.${group}`,
      // Else the server keeps a group that ends with k8s.io to Kubernetes' own.
      annotations: { 'api-approved.kubernetes.io': 'unapproved, a test' },
    },
    spec: {
      ...{ group, scope: metadata.namespace === undefined ? 'Cluster' : 'Namespaced' },
      names: { kind, plural },
      versions: [{ name: version, served: true, storage: true, schema }],
    },
  };
}

const isBuiltIn = ({ apiVersion }: Manifest): boolean =>
  /^(v1|(apps|batch|policy)\/|[a-z.]+\.k8s\.io\/)/.test(apiVersion);

const all = new Map<string, readonly Manifest[]>();
let server: ApiServer;
beforeAll(async () => {
  if (apiServerFolder === null) return;
  for (const name of overlays) all.set(name, overlay(name));
  if (kubectl)
    for (const [name, { on, added }] of Object.entries(compositions))
      all.set(name, parseManifests(compose(on, added), name));
  server = new ApiServer(apiServerFolder);
  await server.start();
  const foreign = [...all.values()].flat().filter((object) => !isBuiltIn(object));
  const definitions = new Map(foreign.map((object) => [object.kind, definition(object)]));
  const known = [...definitions.values()];
  expect(server.apply(known)).toMatchObject({ status: 0 });
  for (const { metadata } of known)
    server.kubectl(['wait', '--for=condition=Established', `crd/${metadata.name}`, '--timeout=30s']);
  // Dry runs create no namespace: it is there before them, with the labels that make the server look at pods.
  const namespace = overlay('dev').filter(({ kind }) => kind === 'Namespace');
  expect(server.apply(namespace)).toMatchObject({ status: 0, stderr: '' });
}, 180_000);
afterAll(() => (skipped ? undefined : server.stop()));

const names = [...overlays, ...(kubectl ? Object.keys(compositions) : [])];

describe.skipIf(skipped)(`a Kubernetes API server${why}`, () => {
  it.each(names)('takes every object of %s without a word of complaint', (name) => {
    const objects = all.get(name)!;
    const { status, stdout, stderr } = server.apply(objects, ['--dry-run=server']);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(objects.length);
  });

  it('has what is in the overlay after an apply in earnest', () => {
    expect(server.apply(all.get('prod')!)).toMatchObject({ status: 0, stderr: '' });
    const applied = JSON.parse(
      server.kubectl(['-n', 'parzen', 'get', 'deployments', '-o', 'json']).stdout,
    ) as { readonly items: readonly { readonly metadata: { readonly name: string } }[] };
    expect(applied.items.map(({ metadata }) => metadata.name)).toEqual([
      'parzen-coordinator',
      'parzen-worker',
    ]);
  });

  it('refuses a misspelt field, and warns of a pod that is not restricted: it does look', () => {
    const changed = (change: object): Manifest[] =>
      all
        .get('dev')!
        .filter(({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'parzen-coordinator')
        .map((object) => {
          const copy = structuredClone(object);
          Object.assign(copy['spec'].template.spec.containers[0], change);
          return copy;
        });
    const dry = ['--dry-run=server'];
    const misspelt = server.apply(changed({ imagePullPolcy: 'Always' }), dry);
    expect(misspelt.status).toBe(1);
    expect(misspelt.stderr).toMatch(/imagePullPolcy/);
    const loose = server.apply(changed({ securityContext: { allowPrivilegeEscalation: true } }), dry);
    expect(loose.stderr).toMatch(/would violate PodSecurity "restricted/);
  });
});
