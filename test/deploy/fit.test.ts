/** Workers find a node where they should, and none where they should not: the scheduler's rules for what we use, on paper. */
import { describe, expect, it } from 'vitest';
import { compose, find, kubectl, overlay, parseManifests, type Manifest } from './manifests.js';
import { containersOf, podSpecOf } from './pod-security.js';

interface Node {
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly { readonly key: string; readonly value?: string; readonly effect: string }[];
  readonly allocatable: Readonly<Record<string, number>>;
}

const gpuTaint = { key: 'nvidia.com/gpu', value: 'present', effect: 'NoSchedule' };
const spotTaint = { key: 'cloud.google.com/gke-spot', value: 'true', effect: 'NoSchedule' };

/** Nodes as GPU feature discovery and the device plugin describe them. */
const nodes: Readonly<Record<string, Node>> = {
  cpu: { labels: {}, taints: [], allocatable: {} },
  gpu: {
    labels: { 'nvidia.com/gpu.memory': '81559' },
    taints: [gpuTaint],
    allocatable: { 'nvidia.com/gpu': 8 },
  },
  'small gpu': {
    labels: { 'nvidia.com/gpu.memory': '4096' },
    taints: [gpuTaint],
    allocatable: { 'nvidia.com/gpu': 1 },
  },
  'plain device plugin': { labels: {}, taints: [], allocatable: { 'nvidia.com/gpu': 2 } },
  'gke gpu': {
    labels: { 'cloud.google.com/gke-accelerator': 'nvidia-l4' },
    taints: [gpuTaint],
    allocatable: { 'nvidia.com/gpu': 1 },
  },
  'mig single': {
    labels: { 'nvidia.com/gpu.memory': '9728' },
    taints: [gpuTaint],
    allocatable: { 'nvidia.com/gpu': 7 },
  },
  'mig mixed': {
    labels: { 'nvidia.com/gpu.memory': '81559' },
    taints: [gpuTaint],
    allocatable: { 'nvidia.com/mig-1g.10gb': 7 },
  },
  shared: {
    labels: { 'nvidia.com/gpu.memory': '24564' },
    taints: [gpuTaint],
    allocatable: { 'nvidia.com/gpu.shared': 4 },
  },
  'spot gpu': {
    labels: { 'nvidia.com/gpu.memory': '40536', 'cloud.google.com/gke-spot': 'true' },
    taints: [gpuTaint, spotTaint],
    allocatable: { 'nvidia.com/gpu': 4 },
  },
};

interface Toleration {
  readonly key: string;
  readonly operator?: string;
  readonly value?: string;
  readonly effect?: string;
}

function fits(workload: Manifest, { labels, taints, allocatable }: Node): boolean {
  const pod = podSpecOf(workload);
  const tolerations = (pod['tolerations'] ?? []) as Toleration[];
  const tolerated = taints.every((taint) =>
    tolerations.some(
      ({ key, operator, value, effect }) =>
        key === taint.key &&
        (operator === 'Exists' || value === taint.value) &&
        (effect ?? taint.effect) === taint.effect,
    ),
  );
  const selected = Object.entries((pod['nodeSelector'] ?? {}) as object).every(
    ([key, value]) => labels[key] === value,
  );
  const terms = (pod['affinity']?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
    ?.nodeSelectorTerms ?? []) as {
    matchExpressions: { key: string; operator: string; values?: string[] }[];
  }[];
  const attracted =
    terms.length === 0 ||
    terms.some(({ matchExpressions }) =>
      matchExpressions.every(({ key, operator, values }) => {
        if (operator === 'DoesNotExist') return labels[key] === undefined;
        expect(operator).toBe('Gt');
        return Number(labels[key]) > Number(values?.[0]);
      }),
    );
  const devices = Object.entries(containersOf(pod)[0]!['resources'].limits as Record<string, number>).filter(
    ([name]) => name.includes('/'),
  );
  return (
    tolerated && selected && attracted && devices.every(([name, count]) => (allocatable[name] ?? 0) >= count)
  );
}

const fitting = (manifests: readonly Manifest[]): readonly string[] => {
  const worker = find(manifests, 'Deployment', 'parzen-worker')!;
  return Object.keys(nodes).filter((name) => fits(worker, nodes[name]!));
};

describe('workers', () => {
  it.each([
    ['prod', ['gpu', 'plain device plugin', 'gke gpu', 'mig single']],
    ['single-node', ['gpu', 'plain device plugin', 'gke gpu', 'mig single']],
    ['gke-spot', ['spot gpu']],
    ['dev', ['cpu', 'plain device plugin']],
  ])('of %s fit %s', (name, expected) => expect(fitting(overlay(name))).toEqual(expected));

  it.skipIf(!kubectl).each([
    ['mig', ['mig mixed']],
    ['time-slicing', ['shared']],
    ['spot', ['gpu', 'plain device plugin', 'gke gpu', 'mig single', 'spot gpu']],
  ])('of prod with %s fit %s (needs kubectl)', (component, expected) =>
    expect(fitting(parseManifests(compose('prod', [component]), component))).toEqual(expected),
  );
});
