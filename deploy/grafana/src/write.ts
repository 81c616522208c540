/** Writes what is made from code, the dashboards as Grafana reads them and the list of metrics: `npm run dashboards`. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { metricsPage } from '../../prometheus/src/metrics-page.js';
import { dashboards } from './dashboards.js';
import { dashboardJson } from './model.js';

// This file runs from below dist/.
const root = path.resolve(import.meta.dirname, '../../../..');
for (const dashboard of dashboards)
  writeFileSync(
    path.join(root, 'deploy/grafana/dashboards', `${dashboard.uid}.json`),
    `${JSON.stringify(dashboardJson(dashboard), null, 2)}\n`,
  );
writeFileSync(path.join(root, 'docs/metrics.md'), metricsPage());
