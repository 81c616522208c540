import type { Statement } from './statement.js';

/** Columns that a caller decides about, in the order in which `encodeTrial` gives their values. */
const writable = [
  'state',
  'reason',
  'given',
  'params',
  'off_grid',
  'objective_values',
  'metrics',
  'attempt',
  'retries_error',
  'retries_timeout',
  'retries_lost',
  'lease_token',
  'lease_expires_at_ms',
  'lease_worker',
  'lease_gpu_uuid',
  'lease_gpu_memory_bytes',
  'memory_floor_bytes',
  'watermark_finish_sequence',
  'watermark_running',
  'worker',
  'message',
  'cancel_requested',
  'last_report_step',
  'last_report_metrics',
  'enqueue_request_id',
  'created_at_ms',
  'started_at_ms',
  'finished_at_ms',
  'finish_sequence',
] as const;

const columns = ['number', ...writable].join(', ');
/** `$1` is the study, `$2` the number. */
const placeholders = writable.map((_, index) => `$${index + 3}`).join(', ');

export const insertTrial: Statement = {
  name: 'insert_trial',
  text: `insert into parzen.trials (study_id, number, ${writable.join(', ')}) values ($1, $2, ${placeholders})`,
};

export const updateTrial: Statement = {
  name: 'update_trial',
  text: `
update parzen.trials set (${writable.join(', ')}) = row(${placeholders})
where study_id = $1 and number = $2`,
};

/** One trial, its row locked against reports and heartbeats, so that what is decided about it stays true. */
export const lockTrial: Statement = {
  name: 'lock_trial',
  text: `
select ${columns} from parzen.trials where study_id = $1 and number = $2::bigint for no key update`,
};

export const trialByEnqueueRequest: Statement = {
  name: 'trial_by_enqueue_request',
  text: `select ${columns} from parzen.trials where study_id = $1 and enqueue_request_id = $2`,
};

/** `$2`: memory of the GPU, null when unknown; null is not more than any floor. */
export const nextWaiting: Statement = {
  name: 'next_waiting',
  text: `
select ${columns} from parzen.trials
where study_id = $1 and state = 'WAITING' and (memory_floor_bytes is null or memory_floor_bytes < $2::bigint)
order by number limit 1`,
};

export const finishedAfter: Statement = {
  name: 'finished_after',
  text: `
select ${columns} from parzen.trials
where study_id = $1 and finish_sequence > $2::bigint order by finish_sequence limit $3`,
};

export const runningTrials: Statement = {
  name: 'running_trials',
  text: `select ${columns} from parzen.trials where study_id = $1 and state = 'RUNNING' order by number`,
};

/** `$4`: states to choose, empty for all. */
export const listTrials: Statement = {
  name: 'list_trials',
  text: `
select ${columns} from parzen.trials
where study_id = $1 and number >= $2::bigint and (cardinality($4::text[]) = 0 or state = any ($4))
order by number limit $3`,
};

export const countTrials: Statement = {
  name: 'count_trials',
  text: `select state, count(*) as trials from parzen.trials where study_id = $1 group by state`,
};
