/** The rules and dashboards as they are in the tree. */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { projectRoot } from '../helpers/cli.js';

export interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

const rulesFolder = path.join(projectRoot, 'deploy/prometheus/rules');
export const ruleFiles = readdirSync(rulesFolder).map((name) => path.join(rulesFolder, name));

export const rules: readonly Rule[] = ruleFiles.flatMap((file) =>
  (parse(readFileSync(file, 'utf8')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
    (group) => group.rules,
  ),
);

export interface Target {
  readonly refId: string;
  readonly expr: string;
  readonly legendFormat: string;
  readonly datasource: { readonly uid: string };
}

export interface PanelJson {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly Target[];
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
}

export interface DashboardJson {
  readonly uid: string;
  readonly id: null;
  readonly editable: boolean;
  readonly templating: {
    readonly list: readonly {
      name: string;
      type: string;
      refresh?: number;
      query: string | { query: string };
    }[];
  };
  readonly panels: readonly PanelJson[];
}

const dashboardsFolder = path.join(projectRoot, 'deploy/grafana/dashboards');
export const dashboardFiles = readdirSync(dashboardsFolder);
export const readDashboard = (file: string): DashboardJson =>
  JSON.parse(readFileSync(path.join(dashboardsFolder, file), 'utf8')) as DashboardJson;

/** Every panel with queries, with the dashboard that it is on. */
export const panels = dashboardFiles.flatMap((file) =>
  readDashboard(file)
    .panels.filter(({ type }) => type !== 'row')
    .map((panel) => ({ ...panel, where: `${file}: ${panel.title}` })),
);
