/** Whatever a manifest points at is there: names, keys, labels, ports, accounts, studies. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { defaults } from '../../coordinator/config.js';
import { releaseTimeoutMs, trainerStopGraceMs } from '../../worker/limits.js';
import { everything, find, ofKind, projectRoot, workloads, type Manifest } from './manifests.js';
import { containersOf, podSpecOf } from './pod-security.js';
import { allPodLabels, missing, podLabels, secretsMadeOutside, selects } from './references.js';

const named = (manifests: readonly Manifest[], name: string): Manifest =>
  workloads(manifests).find(({ metadata }) => metadata.name === name)!;

type Port = { readonly name: string; readonly containerPort: number };
const portsOf = (workload: Manifest): readonly Port[] =>
  containersOf(podSpecOf(workload)).flatMap(({ ports = [] }) => ports as Port[]);

const selecting = (manifests: readonly Manifest[], selector: object): readonly Manifest[] =>
  workloads(manifests).filter((workload) => selects(selector, podLabels(workload)));

/** Variables of a program as its pods get them from the ConfigMap. */
const settings = (manifests: readonly Manifest[], program: string): Readonly<Record<string, string>> => {
  const [container] = containersOf(podSpecOf(named(manifests, program)));
  return find(manifests, 'ConfigMap', container!['envFrom'][0].configMapRef.name as string)![
    'data'
  ] as Record<string, string>;
};
const guide = readFileSync(path.join(projectRoot, 'docs/guides/kubernetes.md'), 'utf8');
const portOf = (address: string | undefined): number => Number(address?.split(':')[1]);

/** What a pod that speaks to the database says of it. */
interface ClientPod {
  readonly containers: readonly [
    {
      readonly env?: readonly { readonly name: string; readonly value?: string }[];
      readonly envFrom?: readonly { readonly configMapRef?: { readonly name: string } }[];
      readonly volumeMounts?: readonly object[];
    },
  ];
  readonly volumes: readonly { readonly secret?: { readonly secretName: string } }[];
}

describe.each(everything)('%s', (_name, read) => {
  const manifests = read();

  it('names only ConfigMaps, Secrets, keys, accounts, priorities and volumes that are there', () => {
    for (const workload of workloads(manifests))
      expect({ [workload.metadata.name]: missing(manifests, workload) }).toEqual({
        [workload.metadata.name]: [],
      });
  });

  it('has no object twice, and everything in one namespace', () => {
    const ids = manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(new Set(ids).size).toBe(ids.length);
    const clusterWide = ['Namespace', 'PriorityClass', 'ResourceFlavor', 'ClusterQueue'];
    for (const { kind, metadata } of manifests)
      expect([kind, metadata.name, metadata.namespace]).toEqual([
        kind,
        metadata.name,
        clusterWide.includes(kind) ? undefined : 'parzen',
      ]);
  });

  it('speaks to a database of the operator over TLS only, whoever speaks', () => {
    if (ofKind(manifests, 'Cluster').length === 0) return;
    const data = (name: string): object =>
      (ofKind(manifests, 'ConfigMap').find(({ metadata }) => metadata.name === name)?.['data'] ??
        {}) as object;
    const clients = workloads(manifests).filter(
      (workload) => workload['spec'].template.metadata.labels['parzen.dev/database'] === 'client',
    );
    expect(clients).not.toHaveLength(0);
    for (const workload of clients) {
      const { containers, volumes } = podSpecOf(workload) as unknown as ClientPod;
      const [{ env = [], envFrom = [], volumeMounts = [] }] = containers;
      const variables = Object.assign(
        {},
        ...envFrom.map(({ configMapRef }) => data(configMapRef?.name ?? '')),
        Object.fromEntries(env.map(({ name, value }) => [name, value])),
      ) as Record<string, string>;
      const { PGSSLMODE: mode, NODE_EXTRA_CA_CERTS: file } = variables;
      expect([workload.metadata.name, mode, file]).toEqual([
        workload.metadata.name,
        'verify-full',
        '/etc/parzen/db-ca/ca.crt',
      ]);
      expect(volumeMounts).toContainEqual(expect.objectContaining({ mountPath: '/etc/parzen/db-ca' }));
      expect(volumes.map(({ secret }) => secret?.secretName)).toContain('parzen-db-ca');
    }
  });

  it('selects with each selector the pods it means, and no others', () => {
    for (const workload of workloads(manifests).filter(({ kind }) => kind !== 'Job'))
      expect(selecting(manifests, workload['spec'].selector as object)).toEqual([workload]);
    for (const service of ofKind(manifests, 'Service'))
      expect(selecting(manifests, { matchLabels: service['spec'].selector as object })).toHaveLength(1);
    for (const budget of ofKind(manifests, 'PodDisruptionBudget')) {
      const [workload] = selecting(manifests, budget['spec'].selector as object);
      // Else no node could ever be drained.
      if (budget['spec'].minAvailable !== undefined)
        expect(workload!['spec'].replicas).toBeGreaterThan(budget['spec'].minAvailable as number);
    }
    for (const monitor of ofKind(manifests, 'PodMonitor')) {
      const [workload] = selecting(manifests, monitor['spec'].selector as object);
      expect(monitor['spec'].jobLabel).toBe('app.kubernetes.io/name');
      for (const { port } of monitor['spec'].podMetricsEndpoints as { port: string }[])
        expect(portsOf(workload!).map(({ name }) => name)).toContain(port);
    }
  });

  it('sends each Service port to a port that the pods open', () => {
    for (const service of ofKind(manifests, 'Service')) {
      const [workload] = selecting(manifests, { matchLabels: service['spec'].selector as object });
      for (const { targetPort, port } of service['spec'].ports as { targetPort: string; port: number }[]) {
        const target = portsOf(workload!).find(({ name }) => name === targetPort);
        expect(target, `${service.metadata.name}: ${targetPort}`).toBeDefined();
        // Without an address of its own nothing translates ports.
        if (service['spec'].clusterIP === 'None') expect(port).toBe(target!.containerPort);
      }
    }
  });

  it('probes ports that are open, by number where Kubernetes wants one', () => {
    for (const workload of workloads(manifests)) {
      const ports = portsOf(workload);
      for (const container of containersOf(podSpecOf(workload)))
        for (const [probe, service] of [
          [container['startupProbe'], 'live'],
          [container['livenessProbe'], 'live'],
          [container['readinessProbe'], 'ready'],
        ]) {
          // Only this port is without TLS whatever the others are.
          const health = ports.find(({ name }) => name === 'health')?.containerPort;
          if (probe?.grpc) expect(probe.grpc).toEqual({ port: health, service });
          if (probe?.httpGet) expect(ports.map(({ name }) => name)).toContain(probe.httpGet.port);
        }
    }
  });

  it('opens by its settings the ports that it declares', () => {
    const declared = (program: string): Record<string, number> =>
      Object.fromEntries(
        portsOf(named(manifests, program)).map(({ name, containerPort }) => [name, containerPort]),
      );
    const coordinator = settings(manifests, 'parzen-coordinator');
    expect(declared('parzen-coordinator')).toEqual({
      grpc: portOf(coordinator['PARZEN_LISTEN']),
      health: portOf(coordinator['PARZEN_HEALTH_LISTEN']),
      metrics: portOf(coordinator['PARZEN_METRICS']),
    });
    const worker = settings(manifests, 'parzen-worker');
    expect(declared('parzen-worker')).toEqual({
      health: portOf(worker['PARZEN_HEALTH']),
      metrics: portOf(worker['PARZEN_METRICS']),
    });
    const [host, port] = worker['PARZEN_COORDINATOR']!.replace('dns:///', '').split(':');
    const service = find(manifests, 'Service', host!);
    expect((service!['spec'].ports as { port: number }[]).map((each) => each.port)).toContain(Number(port));
  });

  it('secures the wire in exactly one way', () => {
    const { PARZEN_INSECURE: insecure, PARZEN_TLS_CERT: certificate } = settings(
      manifests,
      'parzen-coordinator',
    );
    expect([insecure !== undefined, certificate !== undefined].sort()).toEqual([false, true]);
    // A worker that speaks in the clear to a coordinator that speaks TLS would never get through, nor the reverse.
    expect(settings(manifests, 'parzen-worker')['PARZEN_TLS_CA'] !== undefined).toBe(
      certificate !== undefined,
    );
  });

  it('shows Prometheus metrics in the way that it asks for them', () => {
    for (const monitor of ofKind(manifests, 'PodMonitor')) {
      const {
        PARZEN_METRICS_TLS_CERT: certificate,
        PARZEN_METRICS_TOKEN_FILE: token,
        PARZEN_INSECURE_METRICS: insecure,
      } = settings(manifests, monitor.metadata.name);
      const [endpoint] = monitor['spec'].podMetricsEndpoints as Record<string, unknown>[];
      expect([insecure, certificate !== undefined]).toEqual(
        endpoint!['scheme'] === 'https' ? ['false', true] : ['true', false],
      );
      if (certificate === undefined) continue;
      const { name: secret, key } = (
        endpoint!['authorization'] as { credentials: { name: string; key: string } }
      ).credentials;
      expect(secretsMadeOutside[secret]).toContain(key);
      const { serverName, ca } = endpoint!['tlsConfig'] as {
        serverName: string;
        ca: { secret: { name: string; key: string } };
      };
      expect(secretsMadeOutside[ca.secret.name]).toContain(ca.secret.key);
      expect(guide).toContain(`subjectAltName=DNS:${serverName}`);
      // Workers compare with what Prometheus sends; coordinators look it up.
      if (monitor.metadata.name === 'parzen-worker') expect(token).toBeDefined();
    }
  });

  it('has one coordinator, which goes before the next one comes, where it holds the store itself', () => {
    const coordinator = named(manifests, 'parzen-coordinator');
    const pod = podSpecOf(coordinator);
    const [container] = containersOf(pod);
    const storage = (container!['env'] as { name: string; value?: string }[]).find(
      ({ name }) => name === 'PARZEN_STORAGE',
    )?.value;
    if (storage === undefined) return;
    expect(coordinator['spec']).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
    expect(coordinator['spec'].strategy.rollingUpdate).toBeUndefined();
    const mount = (container!['volumeMounts'] as { name: string; mountPath: string }[]).find(
      ({ mountPath }) => storage.startsWith(`${mountPath}/`),
    );
    const volume = (pod['volumes'] as Record<string, unknown>[]).find(({ name }) => name === mount?.name);
    // Else kubelet opens the database's folder to the group at each mount, and PostgreSQL does not start a second time.
    expect(pod['securityContext']).toMatchObject({ fsGroupChangePolicy: 'OnRootMismatch' });
    expect(volume).toMatchObject({ persistentVolumeClaim: { claimName: 'parzen-store' } });
  });

  it('has one database, an exact tag on every image, a study that exists, and one GPU per worker at most', () => {
    const databases = manifests.filter(
      ({ kind, metadata }) =>
        (metadata.name === 'parzen-db' && ['StatefulSet', 'Cluster'].includes(kind)) ||
        (metadata.name === 'parzen-store' && kind === 'PersistentVolumeClaim'),
    );
    expect(databases).toHaveLength(1);
    for (const workload of workloads(manifests))
      for (const { image } of containersOf(podSpecOf(workload)))
        expect(image).toMatch(/^[\w./-]+:(?!latest$)[\w.-]*\d[\w.-]*$|@sha256:[0-9a-f]{64}$/);
    const [coordinator] = containersOf(podSpecOf(named(manifests, 'parzen-coordinator')));
    const [start, flag, study] = coordinator!['args'] as string[];
    expect([coordinator!['command'], start, flag]).toEqual([['coordinator'], 'start', '--study']);
    expect(existsSync(path.join(projectRoot, 'studies', `${study!}.yaml`))).toBe(true);
    const [worker] = containersOf(podSpecOf(named(manifests, 'parzen-worker')));
    const gpus = Object.entries(worker!['resources'].limits as object).filter(([name]) =>
      name.startsWith('nvidia.com/'),
    );
    if (gpus.length > 0) expect(gpus).toEqual([[expect.any(String), 1]]);
  });

  it('gives pods the time that their programs take to stop', () => {
    const grace = (program: string): number =>
      podSpecOf(named(manifests, program))['terminationGracePeriodSeconds'] as number;
    const [coordinator] = containersOf(podSpecOf(named(manifests, 'parzen-coordinator')));
    const preStop = coordinator!['lifecycle'].preStop.sleep.seconds as number;
    expect(grace('parzen-coordinator')).toBeGreaterThanOrEqual(preStop + defaults.stopDeadlineMs / 1_000 + 5);
    const drain = Number(settings(manifests, 'parzen-worker')['PARZEN_DRAIN']);
    expect(grace('parzen-worker')).toBeGreaterThanOrEqual(
      drain + (releaseTimeoutMs + trainerStopGraceMs) / 1_000 + 1,
    );
    const [worker] = containersOf(podSpecOf(named(manifests, 'parzen-worker')));
    expect(worker!['lifecycle']).toBeUndefined();
  });

  it('queues and scales what is there', () => {
    for (const { spec } of ofKind(manifests, 'ScaledObject')) {
      const target = find(manifests, 'Deployment', spec.scaleTargetRef.name as string);
      expect(target).toBeDefined();
      expect(target!['spec'].replicas).toBeUndefined();
    }
    for (const queue of ofKind(manifests, 'LocalQueue')) {
      expect(find(manifests, 'ClusterQueue', queue['spec'].clusterQueue as string)).toBeDefined();
      expect(named(manifests, 'parzen-worker').metadata.labels).toMatchObject({
        'kueue.x-k8s.io/queue-name': queue.metadata.name,
      });
    }
    for (const queue of ofKind(manifests, 'ClusterQueue'))
      for (const { flavors } of queue['spec'].resourceGroups as { flavors: { name: string }[] }[])
        for (const { name } of flavors) expect(find(manifests, 'ResourceFlavor', name)).toBeDefined();
  });

  it('lets only pods that exist talk', () => {
    for (const policy of ofKind(manifests, 'NetworkPolicy'))
      expect(
        allPodLabels(manifests).some((labels) => selects(policy['spec'].podSelector as object, labels)),
        policy.metadata.name,
      ).toBe(true);
  });
});

it('tells in the guide how to make each Secret that no manifest holds', () => {
  for (const [name, keys] of Object.entries(secretsMadeOutside))
    for (const text of [name, ...keys]) expect(guide).toContain(text);
});
