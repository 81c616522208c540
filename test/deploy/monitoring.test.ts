/** What Prometheus and Grafana get in a cluster is what they get from compose. */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { k8sFolder, kubectl, ofKind, overlay, projectRoot, workloads } from './manifests.js';
import { podLabels, selects } from './references.js';

const prometheus = path.join(projectRoot, 'deploy/prometheus');
const grafana = path.join(projectRoot, 'deploy/grafana');

interface Rules {
  readonly groups: readonly {
    readonly name: string;
    readonly rules: readonly { readonly alert?: string }[];
  }[];
}
const rulesOf = (folder: string): Rules => ({
  groups: readdirSync(folder)
    .filter((file) => file.endsWith('.yml'))
    .sort()
    .reverse()
    .flatMap((file) => (parse(readFileSync(path.join(folder, file), 'utf8')) as Rules).groups),
});

it('has the rules of deploy/prometheus as a PrometheusRule', async () => {
  const rule = {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: { name: 'parzen', namespace: 'parzen' },
    spec: rulesOf(path.join(prometheus, 'rules')),
  };
  expect(rule.spec.groups.length).toBeGreaterThan(1);
  const note =
    '# Written from deploy/prometheus/rules: npx vitest run --project unit test/deploy/monitoring.test.ts -u\n';
  await expect(note + stringify(rule, { lineWidth: 0 })).toMatchFileSnapshot(
    path.join(k8sFolder, 'components/monitoring/prometheus-rule.yaml'),
  );
});

it('scrapes in compose under the names that the alerts and the cluster use', () => {
  const { scrape_configs: jobs } = parse(readFileSync(path.join(prometheus, 'prometheus.yml'), 'utf8')) as {
    scrape_configs: { job_name: string; dns_sd_configs?: { names: string[] }[] }[];
  };
  const monitored = ofKind(overlay('prod'), 'PodMonitor').map(({ metadata }) => metadata.name);
  expect(jobs.map((job) => job.job_name)).toEqual(expect.arrayContaining(monitored));
  // What the jobs look for are services of compose.
  const { services } = parse(readFileSync(path.join(projectRoot, 'deploy/compose.yaml'), 'utf8'), {
    merge: true,
  }) as {
    services: object;
  };
  for (const name of jobs.flatMap((job) => job.dns_sd_configs ?? []).flatMap(({ names }) => names))
    expect(Object.keys(services)).toContain(name);
});

it('names in rules only jobs that the cluster scrapes', () => {
  const manifests = overlay('prod');
  const jobs = ofKind(manifests, 'PodMonitor').flatMap(({ spec }) =>
    workloads(manifests)
      .map(podLabels)
      .filter((labels) => selects(spec.selector as object, labels))
      .map((labels) => labels[spec.jobLabel as string]),
  );
  const folder = path.join(prometheus, 'rules');
  const rules = readdirSync(folder).map((file) => readFileSync(path.join(folder, file), 'utf8'));
  const named = [...rules.join().matchAll(/\bjob="([^"]+)"/g)].map(([, job]) => job);
  expect(named.length).toBeGreaterThan(2);
  expect(jobs).toEqual(expect.arrayContaining([...new Set(named)]));
});

describe('dashboards', () => {
  const files = readdirSync(path.join(grafana, 'dashboards')).filter((file) => file.endsWith('.json'));

  it('are all in deploy/grafana/kustomization.yaml', () => {
    const { configMapGenerator: made } = parse(
      readFileSync(path.join(grafana, 'kustomization.yaml'), 'utf8'),
    ) as {
      configMapGenerator: { files: string[] }[];
    };
    expect(files.length).toBeGreaterThan(2);
    expect(made.flatMap((each) => each.files).sort()).toEqual(
      files.map((file) => `dashboards/${file}`).sort(),
    );
  });

  it.skipIf(!kubectl)(
    'reach the cluster as they are, with the label that Grafana looks for (needs kubectl)',
    () => {
      const maps = ofKind(overlay('prod'), 'ConfigMap').filter(
        ({ metadata }) => metadata.labels?.['grafana_dashboard'] === '1',
      );
      const texts = maps.flatMap((map) => Object.entries(map['data'] as Record<string, string>));
      expect(texts.map(([name]) => name).sort()).toEqual([...files].sort());
      for (const [name, text] of texts) {
        expect(text).toBe(readFileSync(path.join(grafana, 'dashboards', name), 'utf8'));
        // kubectl keeps a copy in an annotation, which may have 256 KiB.
        expect(text.length).toBeLessThan(200 * 1024);
      }
    },
  );
});
