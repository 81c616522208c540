/** The parts of Grafana's dashboard format (classic, schema 39) that we use, and what every panel of ours has in common. */

/** `s`, `percentunit`, `bytes`, …: Grafana's names of units. */
export type Unit =
  | 'short'
  | 's'
  | 'percentunit'
  | 'bytes'
  | 'celsius'
  | 'watt'
  | 'joule'
  | 'reqps'
  | 'ops'
  | 'cpm'
  | 'dateTimeFromNow'
  | 'none';

export interface Query {
  readonly expr: string;
  /** `{{label}}` stands for a label's value. */
  readonly legend: string;
  /** The newest value only, as rows of a table. */
  readonly table?: boolean;
  readonly heatmap?: boolean;
}

export interface Threshold {
  readonly value: number;
  readonly color: 'green' | 'yellow' | 'orange' | 'red' | 'blue';
}

export interface PanelSpec {
  readonly title: string;
  /** What it shows, and what to do when it looks wrong. */
  readonly description: string;
  readonly unit: Unit;
  readonly queries: readonly Query[];
  /** Columns of 24. */
  readonly width: number;
  readonly height?: number;
  readonly decimals?: number;
  readonly min?: number;
  readonly max?: number;
  /** Above each value its color; below the first, green. In a time series they are lines. */
  readonly thresholds?: readonly Threshold[];
  readonly stacked?: boolean;
  /** Legends matching this are drawn dashed. */
  readonly dashed?: string;
  /** Settings of this panel alone. */
  readonly fieldOverrides?: readonly object[];
  readonly transformations?: readonly object[];
}

export type PanelType = 'timeseries' | 'stat' | 'gauge' | 'bargauge' | 'table' | 'heatmap' | 'state-timeline';

export interface Panel extends PanelSpec {
  readonly type: PanelType;
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

export interface Variable {
  readonly name: string;
  readonly label: string;
  /** Where its values come from: `label_values(metric, label)`. */
  readonly query: string;
}

export interface DashboardSpec {
  /** At most 40 characters; stays the same for ever, links point to it. */
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly Variable[];
  readonly rows: readonly Row[];
}

const source = { type: 'prometheus', uid: '${datasource}' } as const;

const panelOf =
  (type: PanelType) =>
  (spec: PanelSpec): Panel => ({ type, ...spec });
export const timeseries = panelOf('timeseries');
export const stat = panelOf('stat');
export const gauge = panelOf('gauge');
export const bargauge = panelOf('bargauge');
export const table = panelOf('table');
export const heatmap = panelOf('heatmap');
export const stateTimeline = panelOf('state-timeline');

/** One query. */
export const query = (expr: string, legend: string): Query => ({ expr, legend });

const optionsOf = (type: PanelType): object => {
  switch (type) {
    case 'timeseries':
      return {
        legend: {
          displayMode: 'table',
          placement: 'bottom',
          calcs: ['lastNotNull', 'max'],
          showLegend: true,
        },
        tooltip: { mode: 'multi', sort: 'desc' },
      };
    case 'stat':
      return {
        colorMode: 'value',
        graphMode: 'area',
        reduceOptions: { calcs: ['lastNotNull'] },
        textMode: 'auto',
      };
    case 'gauge':
      return { reduceOptions: { calcs: ['lastNotNull'] }, showThresholdMarkers: true };
    case 'bargauge':
      return { displayMode: 'lcd', orientation: 'horizontal', reduceOptions: { calcs: ['lastNotNull'] } };
    case 'table':
      return { showHeader: true, cellHeight: 'sm' };
    case 'heatmap':
      return {
        calculate: false,
        yAxis: { unit: 's' },
        color: { mode: 'scheme', scheme: 'Oranges' },
        cellGap: 1,
      };
    case 'state-timeline':
      return { showValue: 'auto', mergeValues: true, rowHeight: 0.9 };
  }
};

function customOf({ type, stacked = false, thresholds }: Panel): object {
  if (type !== 'timeseries') return {};
  return {
    custom: {
      ...{
        drawStyle: 'line',
        lineWidth: 1,
        fillOpacity: stacked ? 30 : 0,
        showPoints: 'never',
        spanNulls: false,
      },
      stacking: { mode: stacked ? 'normal' : 'none', group: 'A' },
      thresholdsStyle: { mode: thresholds === undefined ? 'off' : 'line' },
    },
  };
}

const letters = 'ABCDEFGHIJ';

function panelJson(panel: Panel, id: number, gridPos: object): object {
  const { title, description, type, unit, decimals, min, max, thresholds = [], dashed } = panel;
  const steps = [
    { color: 'green', value: null },
    ...thresholds.map(({ value, color }) => ({ color, value })),
  ];
  const dashes = {
    matcher: { id: 'byRegexp', options: `/${dashed ?? ''}/` },
    properties: [{ id: 'custom.lineStyle', value: { fill: 'dash', dash: [10, 10] } }],
  };
  return {
    ...{ id, title, description, type, gridPos, datasource: source },
    targets: panel.queries.map(
      ({ expr, legend, table: asTable = false, heatmap: buckets = false }, index) => ({
        ...{ refId: letters[index], datasource: source, editorMode: 'code', expr, legendFormat: legend },
        ...(asTable || type === 'table' ? { instant: true, range: false, format: 'table' } : { range: true }),
        ...(buckets || type === 'heatmap' ? { format: 'heatmap' } : {}),
      }),
    ),
    fieldConfig: {
      defaults: {
        unit,
        ...(decimals === undefined ? {} : { decimals }),
        ...(min === undefined ? {} : { min }),
        ...(max === undefined ? {} : { max }),
        thresholds: { mode: 'absolute', steps },
        ...(type === 'stat' || type === 'gauge' || type === 'bargauge'
          ? { color: { mode: 'thresholds' } }
          : {}),
        ...customOf(panel),
      },
      overrides: [...(dashed === undefined ? [] : [dashes]), ...(panel.fieldOverrides ?? [])],
    },
    options: optionsOf(type),
    ...(panel.transformations === undefined ? {} : { transformations: panel.transformations }),
  };
}

const rowHeight = 1;
const columns = 24;

/** Rows from the top; panels from the left, on the next line where they do not fit. */
function layOut(rows: readonly Row[]): object[] {
  const placed: object[] = [];
  let y = 0;
  for (const row of rows) {
    const title = { id: placed.length + 1, type: 'row', title: row.title, collapsed: false, panels: [] };
    placed.push({ ...title, gridPos: { h: rowHeight, w: columns, x: 0, y } });
    y += rowHeight;
    let x = 0;
    let lineHeight = 0;
    for (const panel of row.panels) {
      const { width: w, height: h = 8 } = panel;
      if (x + w > columns) [x, y, lineHeight] = [0, y + lineHeight, 0];
      placed.push(panelJson(panel, placed.length + 1, { h, w, x, y }));
      x += w;
      lineHeight = Math.max(lineHeight, h);
    }
    y += lineHeight;
  }
  return placed;
}

const variableJson = ({ name, label, query: text }: Variable): object => ({
  ...{ name, label, type: 'query', datasource: source, hide: 0, skipUrlSync: false },
  query: { query: text, refId: name },
  definition: text,
  // 2: read again when the time range changes; 1: sorted by name.
  ...{
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
  },
});

/** The dashboard as Grafana reads it. */
export function dashboardJson({ uid, title, description, variables, rows }: DashboardSpec): object {
  return {
    ...{ id: null, uid, title, description, tags: ['parzen'], schemaVersion: 39, editable: false },
    ...{ graphTooltip: 1, refresh: '30s', time: { from: 'now-6h', to: 'now' }, timezone: 'browser' },
    links: [
      {
        ...{ type: 'dashboards', title: 'Parzen', tags: ['parzen'], asDropdown: false, includeVars: true },
        keepTime: true,
      },
    ],
    annotations: { list: [] },
    templating: {
      list: [
        {
          name: 'datasource',
          label: 'Data source',
          type: 'datasource',
          query: 'prometheus',
          hide: 0,
          current: {},
        },
        ...variables.map(variableJson),
      ],
    },
    panels: layOut(rows),
  };
}
