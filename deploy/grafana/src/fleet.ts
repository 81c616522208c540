import {
  bargauge,
  query,
  stat,
  stateTimeline,
  table,
  timeseries,
  type DashboardSpec,
  type Row,
} from './model.js';

const ns = 'namespace=~"$namespace"';
const of = `{${ns}}`;
const rate = '[$__rate_interval]';
/** The GPUs chosen, one series each however many workers share one, also where each has a host name of its own (containers). */
const gpus = `topk by (UUID) (1, max by (UUID, host, gpu_model) (parzen_worker_gpu_info{${ns}, host=~"$host", gpu_model=~"$gpu_model", UUID=~"$gpu"}))`;
/** A figure per GPU (labelled by UUID alone), with the GPU's host and model beside it. */
const perGpu = (figure: string): string => `${figure} * on (UUID) group_left (host, gpu_model) ${gpus}`;
/** Of dcgm-exporter, for the GPUs that workers of ours use. */
const dcgm = (metric: string): string => `max by (UUID) (${metric})`;
const gpuLegend = '{{host}} {{gpu_model}} {{UUID}}';

const column = (refId: string, unit: string, title: string): object => ({
  matcher: { id: 'byName', options: `Value #${refId}` },
  properties: [
    { id: 'unit', value: unit },
    { id: 'displayName', value: title },
  ],
});

const gpuTable = table({
  ...{ title: 'GPUs by host and UUID', unit: 'short', width: 24, height: 9 },
  description:
    'One line per GPU that a worker uses, as nvidia-smi and the worker say it. No line for a worker that trains on the CPU. A GPU with much memory in use, little utilisation and no trials: something else runs on it.',
  queries: [
    query(perGpu('max by (UUID) (parzen_worker_gpu_utilization_ratio)'), ''),
    query(perGpu('max by (UUID) (parzen_worker_gpu_memory_bytes{kind="used"})'), ''),
    query(perGpu('max by (UUID) (parzen_worker_gpu_memory_bytes{kind="total"})'), ''),
    query(perGpu('max by (UUID) (parzen_worker_gpu_temperature_celsius)'), ''),
    query(perGpu('max by (UUID) (parzen_worker_gpu_power_watts)'), ''),
    query(perGpu(`60 * sum by (UUID) (rate(parzen_worker_gpu_trials_total${rate}))`), ''),
    query(perGpu('sum by (UUID) (increase(parzen_worker_gpu_oom_total[1h]))'), ''),
  ],
  fieldOverrides: [
    column('A', 'percentunit', 'Utilisation'),
    column('B', 'bytes', 'Memory used'),
    column('C', 'bytes', 'Memory'),
    column('D', 'celsius', 'Temperature'),
    column('E', 'watt', 'Power'),
    column('F', 'cpm', 'Trials per minute'),
    column('G', 'short', 'Out of memory, last hour'),
  ],
  transformations: [
    { id: 'merge', options: {} },
    {
      id: 'organize',
      options: {
        excludeByName: { Time: true },
        indexByName: { host: 0, UUID: 1, gpu_model: 2 },
        renameByName: { host: 'Host', gpu_model: 'Model' },
      },
    },
  ],
});

const work: Row = {
  title: 'Workers and slots',
  panels: [
    timeseries({
      ...{ title: 'Workers by state', unit: 'short', width: 8, min: 0, decimals: 0, stacked: true },
      description:
        'As the coordinators see them by heartbeats. Lost: silent for longer than a lease, shown for ten minutes; also workers that were stopped.',
      queries: [query(`max by (namespace, state) (parzen_workers${of})`, '{{namespace}} {{state}}')],
    }),
    timeseries({
      ...{ title: 'Slots by state', unit: 'short', width: 8, min: 0, decimals: 0, stacked: true },
      description: 'As the workers say. Idle slots while a study owes trials: see why, beside.',
      queries: [query(`sum by (namespace, state) (parzen_worker_slots${of})`, '{{namespace}} {{state}}')],
    }),
    timeseries({
      ...{
        title: 'Slots: training, or why idle',
        unit: 'percentunit',
        width: 8,
        min: 0,
        max: 1,
        stacked: true,
      },
      description:
        'Share of all slot time. handover: between two trials; all_running: everything is handed out; needs_more_memory: what waits needs a larger GPU; unreachable: no coordinator answers; over, paused, no_study: nothing to do.',
      queries: [
        query(
          `sum by (doing) (rate(parzen_worker_slot_seconds_total${of}${rate})) / on () group_left () sum(rate(parzen_worker_slot_seconds_total${of}${rate}))`,
          '{{doing}}',
        ),
      ],
    }),
    timeseries({
      ...{ title: 'Idle between trials', unit: 's', width: 8, min: 0 },
      thresholds: [{ value: 0.01, color: 'orange' }],
      description:
        'Gap between two trials on a slot; the line is the budget of 10 ms. Above it for short trials: the coordinator or the way to it is slow.',
      queries: [0.5, 0.99].map((q) =>
        query(
          `histogram_quantile(${q}, sum by (le) (rate(parzen_worker_idle_seconds_bucket${of}${rate})))`,
          `p${q * 100}`,
        ),
      ),
    }),
    timeseries({
      ...{ title: 'Trainer processes that ended', unit: 'short', width: 8, min: 0, decimals: 0 },
      description:
        'Ended or replaced, by reason. device_lost and signal are the machine, cancel is the study, timeout a trial that hung.',
      queries: [
        query(`sum by (reason) (increase(parzen_worker_trainer_exits_total${of}${rate}))`, '{{reason}}'),
      ],
    }),
    timeseries({
      ...{ title: 'Failed calls to the coordinator', unit: 'ops', width: 8, min: 0 },
      description:
        'By method and status. UNAVAILABLE everywhere: the coordinator or its database is away; at one worker: its network.',
      queries: [
        query(
          // All methods, and of the many ways to fail those that happen.
          `sum by (method, code) (rate(parzen_worker_rpc_failures_total${of}${rate})) > 0 or sum by (method) (rate(parzen_worker_rpc_failures_total${of}${rate}))`,
          '{{method}} {{code}}',
        ),
      ],
    }),
    stat({
      ...{ title: 'Disconnected workers', unit: 'short', width: 8, height: 5, decimals: 0 },
      thresholds: [{ value: 1, color: 'red' }],
      description: 'Workers whose last call was not answered. They keep training and try again.',
      queries: [query(`count(parzen_worker_coordinator_connected${of} == 0) or vector(0)`, 'disconnected')],
    }),
    timeseries({
      ...{ title: 'Release time, p99', unit: 's', width: 8, height: 5, min: 0 },
      thresholds: [{ value: 12, color: 'red' }],
      description:
        'From the signal to stop until a trial was given back; must fit into the shutdown grace (line: 12 s).',
      queries: [
        query(
          `histogram_quantile(0.99, sum by (le) (rate(parzen_worker_release_seconds_bucket${of}${rate})))`,
          'p99',
        ),
      ],
    }),
    table({
      ...{ title: 'Versions', unit: 'none', width: 8, height: 5 },
      description: 'More than one line per column after a rollout: a worker was left behind.',
      queries: [
        query(`count by (version, revision, runtime, node_version) (parzen_worker_build_info${of})`, ''),
      ],
    }),
  ],
};

const gpu: Row = {
  title: 'GPUs',
  panels: [
    gpuTable,
    timeseries({
      ...{ title: 'GPU utilisation against busy slots', unit: 'percentunit', width: 12, min: 0, max: 1 },
      dashed: '^busy',
      description:
        'Share of the time in which some kernel ran. Busy slots with an idle GPU: the trainer waits for the CPU, or trains on it.',
      queries: [
        query(perGpu('max by (UUID) (parzen_worker_gpu_utilization_ratio)'), gpuLegend),
        query(
          `sum by (namespace) (parzen_worker_slots{${ns}, state="busy"}) / sum by (namespace) (parzen_worker_slots${of})`,
          'busy slots {{namespace}}',
        ),
      ],
    }),
    timeseries({
      ...{ title: "Memory: device, and the last trial's peak", unit: 'bytes', width: 12, min: 0 },
      dashed: '^peak',
      description:
        "What nvidia-smi says of the device, dashed the largest that the last trial used. Device far above the trial's peak: a neighbour, or a trainer that does not let go.",
      queries: [
        query(perGpu('max by (UUID) (parzen_worker_gpu_memory_bytes{kind="used"})'), gpuLegend),
        query(
          perGpu('max by (UUID) (parzen_worker_gpu_memory_bytes{kind="trial_peak"})'),
          `peak ${gpuLegend}`,
        ),
      ],
    }),
    bargauge({
      ...{ title: 'Memory full', unit: 'percentunit', width: 8, min: 0, max: 1 },
      thresholds: [
        { value: 0.85, color: 'yellow' },
        { value: 0.95, color: 'red' },
      ],
      description:
        'Used share of the GPU memory. Near 1 while trials run out of memory: fewer slots per GPU.',
      queries: [
        query(
          perGpu(
            '(max by (UUID) (parzen_worker_gpu_memory_bytes{kind="used"}) / max by (UUID) (parzen_worker_gpu_memory_bytes{kind="total"}))',
          ),
          '{{host}} {{UUID}}',
        ),
      ],
    }),
    timeseries({
      ...{ title: 'Out of memory by phase', unit: 'short', width: 8, min: 0, decimals: 0 },
      description:
        'load: before or while the trainer starts; fit, predict: in the trial. Many at load: the memory is taken already.',
      queries: [
        query(
          `sum by (UUID, phase) (increase(parzen_worker_gpu_oom_total${of}${rate}))`,
          '{{UUID}} {{phase}}',
        ),
      ],
    }),
    timeseries({
      ...{ title: 'Out of memory by class', unit: 'short', width: 8, min: 0, decimals: 0 },
      description:
        'Which memory ran out. predicted: the trial was not even started; kernel, process, heap: memory of the machine and not of the GPU.',
      queries: [
        query(
          `sum by (UUID, class) (increase(parzen_worker_gpu_oom_total${of}${rate}))`,
          '{{UUID}} {{class}}',
        ),
      ],
    }),
    timeseries({
      ...{ title: 'Trials per minute', unit: 'cpm', width: 8, min: 0 },
      description: 'Trials with a result, per GPU (workers on the CPU together, without a UUID).',
      queries: [query(`60 * sum by (UUID) (rate(parzen_worker_gpu_trials_total${of}${rate}))`, '{{UUID}}')],
    }),
    timeseries({
      ...{ title: 'Samples per second', unit: 'ops', width: 8, min: 0 },
      description:
        'Samples trained on, per GPU. Counted when a trainer reports: steps up are its reports. Falling at the same utilisation: larger models.',
      queries: [query(`sum by (UUID) (rate(parzen_worker_gpu_samples_total${of}${rate}))`, '{{UUID}}')],
    }),
    timeseries({
      ...{ title: 'Optimiser steps per second', unit: 'ops', width: 8, min: 0 },
      description:
        'Per GPU, by the metric optimiser_steps of reports; empty at 0 for trainers that do not report it.',
      queries: [query(`sum by (UUID) (rate(parzen_worker_gpu_steps_total${of}${rate}))`, '{{UUID}}')],
    }),
    timeseries({
      ...{ title: 'Temperature', unit: 'celsius', width: 6, min: 0 },
      thresholds: [{ value: 85, color: 'red' }],
      description:
        'Most cards slow down from about 85 °C. Trials that take longer at the same work: look at the airflow.',
      queries: [query(perGpu('max by (UUID) (parzen_worker_gpu_temperature_celsius)'), gpuLegend)],
    }),
    timeseries({
      ...{ title: 'Power', unit: 'watt', width: 6, min: 0, stacked: true },
      description:
        'Drawn by the GPUs that our workers use. Low at a high utilisation: many tiny kernels; a larger batch uses the card better.',
      queries: [query(perGpu('max by (UUID) (parzen_worker_gpu_power_watts)'), gpuLegend)],
    }),
    stat({
      ...{ title: 'Energy per finished trial', unit: 'joule', width: 6 },
      description:
        'Power of all GPUs over the rate of finished trials. Rises when trials fail late or GPUs idle.',
      queries: [
        query(
          `sum(max by (UUID) (parzen_worker_gpu_power_watts${of})) / sum(rate(parzen_trials_finished_total${of}[15m]))`,
          'per trial',
        ),
      ],
    }),
    timeseries({
      ...{ title: 'Memory errors', unit: 'short', width: 6, min: 0, decimals: 0 },
      description:
        'ECC errors since the driver was loaded. Corrected ones that grow by the day: have the card looked at. Any uncorrected one: results of that time are not to be trusted; see the runbook of ParzenGpuRowRemapFailure.',
      queries: [query(perGpu('max by (UUID, kind) (parzen_worker_gpu_ecc_errors)'), `{{kind}} ${gpuLegend}`)],
    }),
  ],
};

const outside: Row = {
  title: 'From dcgm-exporter and kube-state-metrics, where they run',
  panels: [
    stateTimeline({
      ...{ title: 'XID errors', unit: 'none', width: 8 },
      description:
        'The last error number that the driver reported; it stays. See the runbook of ParzenGpuXid.',
      queries: [query(`${dcgm('DCGM_FI_DEV_XID_ERRORS')} and on (UUID) ${gpus}`, '{{UUID}}')],
    }),
    stateTimeline({
      ...{ title: 'Failed row remaps', unit: 'none', width: 8 },
      description:
        '1: the memory of this GPU cannot be repaired any more. See the runbook of ParzenGpuRowRemapFailure.',
      queries: [query(`${dcgm('DCGM_FI_DEV_ROW_REMAP_FAILURE')} and on (UUID) ${gpus}`, '{{UUID}}')],
    }),
    timeseries({
      ...{ title: 'Tensor cores and memory at work', unit: 'percentunit', width: 8, min: 0, max: 1 },
      description:
        'Profiling counters of dcgm-exporter. A busy GPU with idle tensor cores: the model is too small for it, or computes in float64.',
      queries: [
        query(`${dcgm('DCGM_FI_PROF_PIPE_TENSOR_ACTIVE')} and on (UUID) ${gpus}`, 'tensor {{UUID}}'),
        query(`${dcgm('DCGM_FI_PROF_DRAM_ACTIVE')} and on (UUID) ${gpus}`, 'memory {{UUID}}'),
      ],
    }),
    table({
      ...{ title: 'Host OOM kills', unit: 'none', width: 8 },
      description:
        'Worker containers whose last end was a kill by the kernel. See the runbook of ParzenWorkerHostOomKilled.',
      queries: [
        query(
          `kube_pod_container_status_last_terminated_reason{${ns}, container="worker", reason="OOMKilled"} == 1`,
          '',
        ),
      ],
    }),
    stat({
      ...{ title: 'Worker pods without a node', unit: 'short', width: 8, decimals: 0 },
      thresholds: [{ value: 1, color: 'yellow' }],
      description: 'Pods that the scheduler finds no GPU for. See the runbook of ParzenWorkersUnschedulable.',
      queries: [
        query(
          `sum by (namespace) (kube_pod_status_unschedulable{${ns}, pod=~"parzen-worker-.*"})`,
          '{{namespace}}',
        ),
      ],
    }),
    stat({
      ...{ title: 'Disrupted pods by reason', unit: 'short', width: 8, decimals: 0 },
      description: 'Pods that Kubernetes ended: preemption, eviction, a node that goes away.',
      queries: [query(`sum by (reason) (kube_pod_status_disruption_reason${of})`, '{{reason}}')],
    }),
  ],
};

export const fleetDashboard: DashboardSpec = {
  uid: 'parzen-fleet',
  title: 'Parzen: fleet and GPUs',
  description: 'Workers, what their slots do and why they idle, and every GPU by host and UUID.',
  variables: [
    { name: 'namespace', label: 'Namespace', query: 'label_values(parzen_worker_slots, namespace)' },
    {
      name: 'host',
      label: 'Host',
      query: 'label_values(parzen_worker_gpu_info{namespace=~"$namespace"}, host)',
    },
    {
      name: 'gpu_model',
      label: 'GPU model',
      query: 'label_values(parzen_worker_gpu_info{namespace=~"$namespace", host=~"$host"}, gpu_model)',
    },
    {
      name: 'gpu',
      label: 'GPU',
      query:
        'label_values(parzen_worker_gpu_info{namespace=~"$namespace", host=~"$host", gpu_model=~"$gpu_model"}, UUID)',
    },
  ],
  rows: [work, gpu, outside],
};
