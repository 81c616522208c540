/** What a manifest points at, and whether it is there. */
import { find, ofKind, workloads, type Manifest } from './manifests.js';
import { containersOf, podSpecOf } from './pod-security.js';

/* eslint-disable @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-argument --
   shapes are the schema's business (schema.ts) */
type Fields = Readonly<Record<string, any>>;
type Labels = Readonly<Record<string, string>>;

/**
 * Secrets that no manifest may hold, by key, with who makes them. docs/guides/kubernetes.md says how; a test looks.
 */
export const secretsMadeOutside: Readonly<Record<string, readonly string[]>> = {
  'parzen-coordinator-tls': ['tls.crt', 'tls.key', 'ca.crt'],
  'parzen-worker-token': ['token'],
  'parzen-metrics-tls': ['tls.crt', 'tls.key', 'ca.crt'],
  'parzen-metrics-token': ['token'],
};

/** Keys of a ConfigMap or Secret; null when nobody makes it. */
function keysOf(
  manifests: readonly Manifest[],
  kind: 'ConfigMap' | 'Secret',
  name: string,
): readonly string[] | null {
  const made = find(manifests, kind, name);
  if (made !== undefined)
    return ['data', 'stringData', 'binaryData'].flatMap((field) =>
      Object.keys((made[field] ?? {}) as object),
    );
  // What CloudNativePG makes of a cluster.
  if (kind === 'Secret' && find(manifests, 'Cluster', name.replace(/-(app|ca)$/, '')) !== undefined)
    return name.endsWith('-app')
      ? ['uri', 'username', 'password', 'host', 'port', 'dbname']
      : ['ca.crt', 'ca.key'];
  return kind === 'Secret' ? (secretsMadeOutside[name] ?? null) : null;
}

interface Reference {
  readonly kind: 'ConfigMap' | 'Secret';
  readonly name: string;
  readonly keys: readonly string[];
}

function referencesOf(pod: Fields): readonly Reference[] {
  const found: Reference[] = [];
  const add = (kind: Reference['kind'], name: string, keys: readonly string[] = []): unknown =>
    found.push({ kind, name, keys });
  for (const { env = [], envFrom = [] } of containersOf(pod) as { env?: Fields[]; envFrom?: Fields[] }[]) {
    for (const { valueFrom } of env) {
      if (valueFrom?.secretKeyRef) add('Secret', valueFrom.secretKeyRef.name, [valueFrom.secretKeyRef.key]);
      if (valueFrom?.configMapKeyRef)
        add('ConfigMap', valueFrom.configMapKeyRef.name, [valueFrom.configMapKeyRef.key]);
    }
    for (const { configMapRef, secretRef } of envFrom) {
      if (configMapRef) add('ConfigMap', configMapRef.name);
      if (secretRef) add('Secret', secretRef.name);
    }
  }
  for (const { secret, configMap } of (pod['volumes'] ?? []) as Fields[]) {
    const keys = (items: Fields[] = []): string[] => items.map(({ key }) => key as string);
    if (secret) add('Secret', secret.secretName, keys(secret.items));
    if (configMap) add('ConfigMap', configMap.name, keys(configMap.items));
  }
  return found;
}

/** ConfigMaps, Secrets, keys, service accounts, priority classes and volumes that a workload names and nobody makes. */
export function missing(manifests: readonly Manifest[], workload: Manifest): readonly string[] {
  const pod = podSpecOf(workload);
  const wrong: string[] = [];
  for (const { kind, name, keys } of referencesOf(pod)) {
    const there = keysOf(manifests, kind, name);
    if (there === null) wrong.push(`${kind} ${name}`);
    else
      wrong.push(...keys.filter((key) => !there.includes(key)).map((key) => `${kind} ${name}: key ${key}`));
  }
  const account = pod['serviceAccountName'] as string;
  if (find(manifests, 'ServiceAccount', account) === undefined) wrong.push(`ServiceAccount ${account}`);
  const priority = pod['priorityClassName'] as string | undefined;
  if (priority !== undefined && find(manifests, 'PriorityClass', priority) === undefined)
    wrong.push(`PriorityClass ${priority}`);
  const volumes = [...((pod['volumes'] ?? []) as Fields[]), ...claimsOf(workload)].map(
    ({ name }) => name as string,
  );
  for (const { persistentVolumeClaim: claim } of (pod['volumes'] ?? []) as Fields[])
    if (claim && find(manifests, 'PersistentVolumeClaim', claim.claimName as string) === undefined)
      wrong.push(`PersistentVolumeClaim ${claim.claimName as string}`);
  const mounts = containersOf(pod).flatMap(({ volumeMounts = [] }) => volumeMounts as Fields[]);
  wrong.push(
    ...mounts.filter(({ name }) => !volumes.includes(name)).map(({ name }) => `volume ${name as string}`),
  );
  wrong.push(
    ...volumes
      .filter((name) => !mounts.some((mount) => mount['name'] === name))
      .map((name) => `unused volume ${name}`),
  );
  return wrong;
}

const claimsOf = (workload: Manifest): readonly Fields[] =>
  ((workload['spec'].volumeClaimTemplates ?? []) as Manifest[]).map(({ metadata }) => metadata);

export const podLabels = (workload: Manifest): Labels => workload['spec'].template.metadata.labels as Labels;

/** Labels of all pods that will run, those of operators included. */
export function allPodLabels(manifests: readonly Manifest[]): readonly Labels[] {
  return [
    ...workloads(manifests).map(podLabels),
    ...ofKind(manifests, 'Cluster').map(({ metadata }) => ({ 'cnpg.io/cluster': metadata.name })),
  ];
}

/** Kubernetes' label selectors, as far as they are used here; throws for what is not. */
export function selects(selector: Fields, labels: Labels): boolean {
  const {
    matchLabels = {},
    matchExpressions = [],
    ...rest
  } = selector as {
    matchLabels?: Labels;
    matchExpressions?: { key: string; operator: string; values: string[] }[];
  };
  if (Object.keys(rest).length > 0) throw new Error(`selector: ${Object.keys(rest).join()}`);
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values }) => {
      if (operator !== 'In') throw new Error(`operator ${operator}`);
      return values.includes(labels[key] ?? '');
    })
  );
}
