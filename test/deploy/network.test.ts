/** Who may talk to whom, worked out from the NetworkPolicies as the API defines them. */
import { describe, expect, it } from 'vitest';
import { everything, ofKind, workloads, type Manifest } from './manifests.js';
import { containersOf, podSpecOf } from './pod-security.js';
import { allPodLabels, podLabels, selects } from './references.js';

type Labels = Readonly<Record<string, string>>;
interface Peer {
  readonly podSelector?: object;
  readonly namespaceSelector?: object;
  readonly ipBlock?: object;
}
interface Rule {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports?: readonly { readonly port: number | string }[];
}
interface End {
  readonly namespace: string;
  readonly labels: Labels;
}

const pod = (name: string): End => ({ namespace: 'parzen', labels: { 'app.kubernetes.io/name': name } });

function matches({ podSelector, namespaceSelector, ipBlock }: Peer, { namespace, labels }: End): boolean {
  if (ipBlock !== undefined) return false;
  const there =
    namespaceSelector === undefined
      ? namespace === 'parzen'
      : selects(namespaceSelector, { 'kubernetes.io/metadata.name': namespace });
  return there && (podSelector === undefined || selects(podSelector, labels));
}

/** May `from` reach `port` of `to`? Both sides' policies must allow it; an end without policies is open. */
const mayReach = (manifests: readonly Manifest[], from: End, to: End, port: number): boolean =>
  sides(manifests, from, to, port).every((allows) => allows);

/** What the sender's policies say, and what the receiver's say. */
function sides(manifests: readonly Manifest[], from: End, to: End, port: number): readonly boolean[] {
  const named = workloads(manifests)
    .filter(
      (workload) => podLabels(workload)['app.kubernetes.io/name'] === to.labels['app.kubernetes.io/name'],
    )
    .flatMap((workload) =>
      containersOf(podSpecOf(workload)).flatMap(
        (container) => (container['ports'] ?? []) as { name: string; containerPort: number }[],
      ),
    );
  const number = (each: number | string): number =>
    typeof each === 'number' ? each : (named.find(({ name }) => name === each)?.containerPort ?? NaN);
  const allows = (self: End, other: End, direction: 'Ingress' | 'Egress'): boolean => {
    if (self.namespace !== 'parzen') return true;
    const policies = ofKind(manifests, 'NetworkPolicy').filter(
      ({ spec }) =>
        selects(spec.podSelector as object, self.labels) &&
        (spec.policyTypes as string[]).includes(direction),
    );
    if (policies.length === 0) return true;
    const rules = policies.flatMap(({ spec }) => (spec[direction.toLowerCase()] ?? []) as Rule[]);
    return rules.some(({ ports, ...peers }) => {
      const list = direction === 'Ingress' ? peers.from : peers.to;
      const peer = list === undefined || list.some((each) => matches(each, other));
      return peer && (ports === undefined || ports.some((each) => number(each.port) === port));
    });
  };
  return [allows(from, to, 'Egress'), allows(to, from, 'Ingress')];
}

describe.each(everything)('%s', (_name, read) => {
  const manifests = read();
  const realPod = (name: string): End => ({
    namespace: 'parzen',
    labels: podLabels(workloads(manifests).find(({ metadata }) => metadata.name === name)!),
  });
  const databases: readonly End[] = allPodLabels(manifests)
    .filter(
      (labels) =>
        labels['cnpg.io/cluster'] === 'parzen-db' || labels['app.kubernetes.io/name'] === 'parzen-db',
    )
    .map((labels) => ({ namespace: 'parzen', labels }));
  const coordinator = realPod('parzen-coordinator');
  const worker = realPod('parzen-worker');
  const dns: End = { namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' } };
  const stranger = pod('stranger');
  const elsewhere: End = { ...stranger, namespace: 'default' };

  it('lets through what the study needs', () => {
    expect(mayReach(manifests, worker, coordinator, 50051)).toBe(true);
    for (const database of databases) expect(mayReach(manifests, coordinator, database, 5432)).toBe(true);
    for (const end of [worker, coordinator, ...databases])
      expect(mayReach(manifests, end, dns, 53)).toBe(true);
  });

  it('and nothing else', () => {
    for (const database of databases) expect(mayReach(manifests, worker, database, 5432)).toBe(false);
    expect(mayReach(manifests, worker, worker, 9464)).toBe(false);
    expect(mayReach(manifests, worker, coordinator, 9464)).toBe(false);
    for (const from of [stranger, elsewhere])
      for (const [to, port] of [
        [coordinator, 50051],
        [coordinator, 9464],
        ...databases.map((database) => [database, 5432] as const),
        [worker, 9464],
      ] as const)
        expect(mayReach(manifests, from, to, port)).toBe(false);
    for (const from of [worker, coordinator]) expect(mayReach(manifests, from, elsewhere, 443)).toBe(false);
  });

  it('refuses at the receiver too, whatever the sender may', () => {
    for (const [from, to, port] of [
      ...databases.flatMap((database) => [
        [worker, database, 5432] as const,
        [stranger, database, 5432] as const,
      ]),
      [stranger, coordinator, 50051],
      [worker, coordinator, 9464],
    ] as const)
      expect(sides(manifests, from, to, port)[1]).toBe(false);
  });

  it('opens metrics to the monitoring namespace only where there is something to scrape them', () => {
    const prometheus: End = { namespace: 'monitoring', labels: {} };
    const scraped = ofKind(manifests, 'PodMonitor').length > 0;
    for (const to of [worker, coordinator]) expect(mayReach(manifests, prometheus, to, 9464)).toBe(scraped);
    expect(mayReach(manifests, prometheus, coordinator, 50051)).toBe(false);
  });
});
