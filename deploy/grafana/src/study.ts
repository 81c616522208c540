import { gauge, heatmap, query, stat, timeseries, type DashboardSpec } from './model.js';

const of = '{namespace=~"$namespace", study=~"$study"}';
const rate = '[$__rate_interval]';

export const studyDashboard: DashboardSpec = {
  uid: 'parzen-study',
  title: 'Parzen: study',
  description:
    'How a study fares: progress, what was found and what luck alone would have found, what goes wrong.',
  variables: [
    { name: 'namespace', label: 'Namespace', query: 'label_values(parzen_study_info, namespace)' },
    {
      name: 'study',
      label: 'Study',
      query: 'label_values(parzen_study_info{namespace=~"$namespace"}, study)',
    },
  ],
  rows: [
    {
      title: 'Progress and result',
      panels: [
        gauge({
          ...{ title: 'Progress', unit: 'percentunit', width: 4, min: 0, max: 1 },
          description:
            'Finished share of the budget. Stands still? See "Attempts by reason" and the runbook of ParzenStudyStalled.',
          queries: [
            query(
              `1 - study:parzen_trials_remaining:max${of} / max by (namespace, study) (parzen_trials_target${of})`,
              '{{study}}',
            ),
          ],
        }),
        stat({
          ...{ title: 'Remaining', unit: 'short', width: 4, decimals: 0 },
          description: 'Trials that the study still owes. Grows only when the budget is raised.',
          queries: [query(`study:parzen_trials_remaining:max${of}`, '{{study}}')],
        }),
        stat({
          ...{ title: 'Time left', unit: 's', width: 4 },
          description: 'Remaining trials at the rate of the last 30 minutes. Empty while nothing finishes.',
          queries: [query(`study:parzen_eta_seconds:ratio${of}`, '{{study}}')],
        }),
        stat({
          ...{ title: 'Since the last improvement', unit: 's', width: 4 },
          description:
            'Time since the best value was found. Long, with the luck line near the best: more trials will hardly help.',
          queries: [
            query(
              `time() - max by (study, objective) (parzen_best_value_timestamp_seconds${of})`,
              '{{study}} {{objective}}',
            ),
          ],
        }),
        stat({
          ...{ title: 'Best, beyond luck', unit: 'short', width: 8, decimals: 4 },
          description:
            'Distance of the best value from what as many independent draws would give (positive: larger). Near 0, or on the wrong side for the direction of the objective: the search has found nothing that luck would not have.',
          queries: [
            query(
              `max by (study, objective) (parzen_best_value${of}) - max by (study, objective) (parzen_best_value_luck${of})`,
              '{{study}} {{objective}}',
            ),
          ],
        }),
        timeseries({
          ...{
            title: 'Best, and what luck alone would give',
            unit: 'short',
            width: 12,
            height: 10,
            decimals: 4,
          },
          dashed: '^luck',
          description:
            "The best value so far, and dashed the expected best of as many independent draws from a normal with these trials' mean and standard deviation. A best that does not leave the dashed line behind is no proof of skill.",
          queries: [
            query(`max by (study, objective) (parzen_best_value${of})`, 'best {{study}} {{objective}}'),
            query(`max by (study, objective) (parzen_best_value_luck${of})`, 'luck {{study}} {{objective}}'),
          ],
        }),
        timeseries({
          ...{
            title: 'Trials by state',
            unit: 'short',
            width: 12,
            height: 10,
            min: 0,
            decimals: 0,
            stacked: true,
          },
          description:
            'All trials of the study. Much WAITING with idle workers: what waits needs a larger GPU.',
          queries: [query(`study_state:parzen_trials:max${of}`, '{{study}} {{state}}')],
        }),
      ],
    },
    {
      title: 'Pace',
      panels: [
        timeseries({
          ...{ title: 'Finished per minute, by state', unit: 'cpm', width: 8, min: 0, stacked: true },
          description:
            'Rate over 15 minutes. Mostly FAIL: see the messages with "coordinator top" and in trials.csv.',
          queries: [query(`60 * study_state:parzen_trials_finished:rate15m${of}`, '{{study}} {{state}}')],
        }),
        timeseries({
          ...{ title: 'GPUs on this study', unit: 'short', width: 8, min: 0, decimals: 0 },
          description:
            'Trials that run right now, as the workers say. Fewer than slots: see "why idle" on the fleet dashboard.',
          queries: [query(`sum by (study) (parzen_worker_trials_running${of})`, '{{study}}')],
        }),
        timeseries({
          ...{ title: 'Intermediate reports', unit: 'ops', width: 8, min: 0 },
          description:
            'Reports stored per second. None, while trials run for long: the trainer reports nothing, so that a pruner and time-outs are blind.',
          queries: [query(`sum by (study) (rate(parzen_trial_reports_total${of}${rate}))`, '{{study}}')],
        }),
        heatmap({
          ...{ title: 'Trial duration', unit: 's', width: 12 },
          description:
            'Last lease of a trial until it finished. Two bands: two kinds of configurations, or two kinds of GPUs.',
          queries: [
            query(`sum by (le) (increase(parzen_trial_duration_seconds_bucket${of}${rate}))`, '{{le}}'),
          ],
        }),
        timeseries({
          ...{ title: 'Trial duration, p50 and p99', unit: 's', width: 12, min: 0 },
          description:
            'A p99 far above the median that ends at the trial time-out: trials hang. See the runbook of ParzenTrialHung.',
          queries: [0.5, 0.99].map((q) =>
            query(
              `histogram_quantile(${q}, sum by (study, le) (rate(parzen_trial_duration_seconds_bucket${of}${rate})))`,
              `p${q * 100} {{study}}`,
            ),
          ),
        }),
      ],
    },
    {
      title: 'What goes wrong',
      panels: [
        timeseries({
          ...{ title: 'Attempts by reason', unit: 'ops', width: 8, min: 0, stacked: true },
          description: 'Every attempt that ended, per second; finished is what it should be.',
          queries: [
            query(
              `sum by (study, reason) (rate(parzen_trial_attempts_ended_total${of}${rate}))`,
              '{{study}} {{reason}}',
            ),
          ],
        }),
        timeseries({
          ...{ title: 'Requeues', unit: 'ops', width: 8, min: 0, stacked: true },
          description:
            'Trials that run again: lost and preempted are machines that went away, unfit are workers that cannot run trials, returned were asked for ahead, error and timeout are retries.',
          queries: [
            query(
              `sum by (study, reason) (rate(parzen_trials_requeued_total${of}${rate}))`,
              '{{study}} {{reason}}',
            ),
          ],
        }),
        timeseries({
          ...{ title: 'Share of attempts out of memory', unit: 'percentunit', width: 8, min: 0, max: 1 },
          thresholds: [{ value: 0.2, color: 'red' }],
          description:
            'Above a fifth the alert ParzenGpuOomStorm fires. By GPU, phase and class: fleet dashboard.',
          queries: [
            query(
              `sum by (study) (rate(parzen_trial_attempts_ended_total{namespace=~"$namespace", study=~"$study", reason="oom"}${rate})) / sum by (study) (rate(parzen_trial_attempts_ended_total${of}${rate}))`,
              '{{study}}',
            ),
          ],
        }),
        timeseries({
          ...{ title: 'Withheld: known not to fit', unit: 'ops', width: 12, min: 0 },
          description:
            'Looks for work that found only trials which need a larger GPU than the one that asked. Workers with more memory end it.',
          queries: [
            query(`sum by (study) (rate(parzen_assignments_withheld_total${of}${rate}))`, '{{study}}'),
          ],
        }),
        stat({
          ...{ title: 'Late results', unit: 'short', width: 12, decimals: 0 },
          thresholds: [{ value: 1, color: 'yellow' }],
          description:
            'Results under a lost lease within the last hour: kept as evidence, without effect. Many: leases expire while workers live; look at their connection.',
          queries: [query(`sum by (study) (increase(parzen_late_results_total${of}[1h]))`, '{{study}}')],
        }),
      ],
    },
  ],
};
