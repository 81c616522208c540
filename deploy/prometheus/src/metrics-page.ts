import { coordinatorMetrics } from '../../../coordinator/metrics.js';
import type { MetricTable } from '../../../shared/platform/metrics.js';
import { workerMetrics } from '../../../worker/metrics.js';

const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

const table = (metrics: MetricTable): readonly string[] => [
  line(['name', 'type', 'from', 'labels', 'meaning']),
  line(['---', '---', '---', '---', '---']),
  ...Object.values(metrics).map(({ name, type, source, labels, help }) =>
    line([
      `\`${name}\``,
      type,
      source,
      labels.length === 0 ? '–' : labels.join(', '),
      help.replaceAll('|', '\\|'),
    ]),
  ),
];

/** `docs/metrics.md`, from the tables of metrics. */
export const metricsPage = (): string =>
  [
    '# Metrics',
    '',
    'Made from `coordinator/metrics.ts` and `worker/metrics.ts`. *process*: counted by one process; sum over processes. *database*:',
    'read from the store, the same at every replica of the coordinator; take `max by`, never `sum` over replicas. Beside these,',
    'both processes show `process_*` and `nodejs_*`.',
    '',
    '## Coordinator',
    '',
    ...table(coordinatorMetrics),
    '',
    '## Worker',
    '',
    ...table(workerMetrics),
    '',
  ].join('\n');
