/** Metrics, rules, runbooks and dashboards belong together: what one names, the other has. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { dashboards } from '../../deploy/grafana/src/dashboards.js';
import { dashboardJson } from '../../deploy/grafana/src/model.js';
import { metricsPage } from '../../deploy/prometheus/src/metrics-page.js';
import { projectRoot } from '../helpers/cli.js';
import { knownMetrics, problemsOf } from './promql.js';
import { dashboardFiles, panels, readDashboard, ruleFiles, rules } from './sources.js';

const alerts = rules.filter(({ alert }) => alert !== undefined);
const known = knownMetrics(rules.flatMap(({ record }) => record ?? []));
const read = (file: string): string => readFileSync(path.join(projectRoot, file), 'utf8');

describe('queries', () => {
  it('name metrics and labels that there are, rightly', () => {
    const queries = [
      ...panels.flatMap(({ where, targets = [] }) => targets.map(({ expr }) => [where, expr] as const)),
      ...rules.map(({ alert, record, expr }) => [alert ?? record ?? '', expr] as const),
    ];
    expect(queries.length).toBeGreaterThan(80);
    const wrong = queries.flatMap(([where, expr]) =>
      problemsOf(expr, known).map((problem) => `${where}: ${problem}`),
    );
    expect(wrong).toEqual([]);
  });

  it.each([
    ['sum(parzen_trialz)', 'there is no metric parzen_trialz'],
    ['max by (study) (parzen_trials', 'does not parse'],
    ['max by (study) (parzen_trials{colour="red"})', 'has no label colour'],
    ['sum by (study) (parzen_trials)', 'take max by'],
    ['max by (instance) (parzen_trials)', 'take max by'],
    ['sum(parzen_tells_total)', 'is a counter'],
    ['sum(rate(parzen_asks_waiting[5m]))', 'is a gauge'],
    ['sum by (colour) (rate(parzen_tells_total[5m]))', 'no label colour to group by'],
  ])('%s is found wrong', (query, problem) => {
    expect(problemsOf(query, known).join()).toContain(problem);
  });
});

describe('alerts', () => {
  it('say what is the matter, and have a page that says what to do', () => {
    expect(alerts.length).toBe(16);
    for (const { alert = '', annotations = {} } of alerts) {
      expect(annotations['summary']?.length).toBeGreaterThan(10);
      expect(annotations['description']?.length).toBeGreaterThan(10);
      expect(annotations['runbook_url']).toBe(`docs/runbooks/${alert}.md`);
      const page = read(`docs/runbooks/${alert}.md`);
      for (const part of [`# ${alert}`, '## Look', '## Do']) expect(page).toContain(part);
    }
  });

  it('are what the pages are about', () => {
    const names = alerts.map(({ alert }) => `${alert ?? ''}.md`);
    expect(readdirSync(path.join(projectRoot, 'docs/runbooks')).sort()).toEqual(names.sort());
  });

  const promtool = spawnSync('promtool', ['--version'], { encoding: 'utf8' });
  const absent =
    promtool.error === undefined ? '' : ' (skipped: needs promtool, of the Debian package prometheus)';
  it.skipIf(absent !== '')(`do what their tests say${absent}`, () => {
    const run = (...args: readonly string[]): void => {
      const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' });
      expect({ args, status, output: status === 0 ? '' : `${stdout}${stderr}` }).toEqual({
        args,
        status: 0,
        output: '',
      });
    };
    run('check', 'rules', ...ruleFiles);
    run('check', 'config', path.join(projectRoot, 'deploy/prometheus/prometheus.yml'));
    run('test', 'rules', path.join(projectRoot, 'deploy/prometheus/tests/alerts.test.yml'));
  });

  it.skipIf(absent !== '')(
    `scale workers by what is owed, to 0 when nothing runs, and not when nobody knows${absent}`,
    () => {
      const file = path.join(projectRoot, 'k8s/components/keda/scaled-object.yaml');
      const { spec } = parse(readFileSync(file, 'utf8')) as {
        spec: { triggers: [{ metadata: { query: string } }] };
      };
      const expr = spec.triggers[0].metadata.query;
      const base = 'namespace="parzen", instance="a"';
      const workers = { series: `parzen_workers{${base}, state="busy"}`, values: '3' };
      const study = (name: string, state: string, owed: number): object[] => [
        { series: `parzen_study_info{${base}, study="${name}", state="${state}"}`, values: '1' },
        {
          series: `study:parzen_trials_remaining:max{namespace="parzen", study="${name}"}`,
          values: `${owed}`,
        },
      ];
      const gives = (series: readonly object[], values: readonly number[]): object => ({
        interval: '1m',
        input_series: series,
        promql_expr_test: [
          { expr, eval_time: '0m', exp_samples: values.map((value) => ({ labels: '{}', value })) },
        ],
      });
      const folder = mkdtempSync(path.join(tmpdir(), 'parzen-keda-'));
      try {
        const tests = [
          gives([workers, ...study('one', 'RUNNING', 12), ...study('two', 'PAUSED', 40)], [12]),
          gives([workers, ...study('two', 'PAUSED', 40)], [0]),
          gives([workers], [0]),
          gives([], []),
        ];
        writeFileSync(path.join(folder, 'keda.yml'), stringify({ rule_files: [], tests }));
        const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', 'keda.yml'], {
          cwd: folder,
          encoding: 'utf8',
        });
        expect({ status, output: status === 0 ? '' : `${stdout}${stderr}` }).toEqual({
          status: 0,
          output: '',
        });
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );

  const amtool = spawnSync('amtool', ['--version']).error === undefined;
  it.skipIf(!amtool)(
    'are routed by a file that Alertmanager takes (needs amtool, of prometheus-alertmanager)',
    () => {
      const file = path.join(projectRoot, 'deploy/alertmanager/alertmanager.yml');
      const { status, stdout, stderr } = spawnSync('amtool', ['check-config', file], { encoding: 'utf8' });
      expect({ status, output: status === 0 ? '' : `${stdout}${stderr}` }).toEqual({ status: 0, output: '' });
    },
  );

  it('each have a test in which they fire', () => {
    const text = read('deploy/prometheus/tests/alerts.test.yml');
    const fires = [...text.matchAll(/alertname: (\w+)\n\s+eval_time: \S+\n\s+exp_alerts:/g)].map(
      ([, name]) => name,
    );
    expect([...new Set(fires)].sort()).toEqual(alerts.map(({ alert }) => alert).sort());
  });
});

describe('dashboards', () => {
  it('are committed as their code makes them (npm run dashboards)', () => {
    expect(dashboardFiles.sort()).toEqual(dashboards.map(({ uid }) => `${uid}.json`).sort());
    for (const dashboard of dashboards)
      expect(readDashboard(`${dashboard.uid}.json`)).toEqual(
        JSON.parse(JSON.stringify(dashboardJson(dashboard))),
      );
  });

  it.each(dashboardFiles)('%s keeps the rules', (file) => {
    const { uid, id, editable, templating, panels: all } = readDashboard(file);
    expect(uid.length).toBeLessThanOrEqual(40);
    expect({ id, editable }).toEqual({ id: null, editable: false });
    expect(templating.list[0]).toMatchObject({ name: 'datasource', type: 'datasource' });
    for (const variable of templating.list.slice(1))
      expect(variable).toMatchObject({ type: 'query', refresh: 2 });
    expect(new Set(all.map((panel) => panel.id)).size).toBe(all.length);
    const used = JSON.stringify(all);
    for (const { name } of templating.list)
      expect(used).toContain(`$${name === 'datasource' ? '{datasource}' : name}`);
    const cells = new Set<string>();
    for (const { gridPos, title } of all)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect({ title, inside: x < 24, free: !cells.has(`${x},${y}`) }).toEqual({
            title,
            inside: true,
            free: true,
          });
          cells.add(`${x},${y}`);
        }
  });

  it('have panels that say what they show, in what unit, and what to do', () => {
    for (const { where, title, description = '', type, targets = [], fieldConfig } of panels) {
      const panel = {
        where,
        title: title.length > 2,
        described: description.length > 20,
        queries: targets.length > 0,
      };
      expect(panel).toEqual({ where, title: true, described: true, queries: true });
      expect(fieldConfig?.defaults.unit, where).toMatch(/./);
      expect(new Set(targets.map(({ refId }) => refId)).size, where).toBe(targets.length);
      for (const { datasource, legendFormat, expr } of targets) {
        expect(datasource.uid).toBe('${datasource}');
        if (type !== 'table') expect(legendFormat, where).not.toBe('');
        // A rate over a fixed time is meant to be one, or it would jump with the zoom.
        const ranges = [...expr.matchAll(/\[([^\]]+)\]/g)].map(([, range]) => range);
        for (const range of ranges) expect(['$__rate_interval', '15m', '1h'], where).toContain(range);
      }
    }
  });

  it('send people to runbooks that there are', () => {
    for (const { where, description = '' } of panels)
      for (const [, name] of description.matchAll(/runbook of (\w+)/g))
        expect({
          where,
          name,
          there: existsSync(path.join(projectRoot, `docs/runbooks/${name!}.md`)),
        }).toMatchObject({
          there: true,
        });
  });
});

it('docs/metrics.md lists all metrics (npm run dashboards)', () => {
  expect(read('docs/metrics.md')).toBe(metricsPage());
});
