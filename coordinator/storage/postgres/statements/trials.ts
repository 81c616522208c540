import type { Statement } from './statement.js';

/** Columns that hardly change after a trial's first lease. */
const origin = {
  given: 'jsonb',
  params: 'jsonb',
  off_grid: 'boolean',
  attempt: 'integer',
  watermark_finish_sequence: 'integer',
  watermark_running: 'integer[]',
  worker: 'text',
  last_report_step: 'bigint',
  last_report_metrics: 'jsonb',
  enqueue_request_id: 'text',
  created_at_ms: 'bigint',
  started_at_ms: 'bigint',
} as const;

/** Columns that the end of an attempt changes. */
const outcome = {
  state: 'text',
  reason: 'text',
  objective_values: 'double precision[]',
  metrics: 'jsonb',
  retries_error: 'integer',
  retries_timeout: 'integer',
  retries_lost: 'integer',
  lease_token: 'text',
  lease_expires_at_ms: 'bigint',
  lease_worker: 'text',
  lease_gpu_uuid: 'text',
  lease_gpu_memory_bytes: 'bigint',
  memory_floor_bytes: 'bigint',
  message: 'text',
  cancel_requested: 'boolean',
  finished_at_ms: 'bigint',
  finish_sequence: 'integer',
} as const;

/** Values of these columns, as JSON has them. */
export type TrialOrigin = Readonly<Record<keyof typeof origin, unknown>>;
export type TrialOutcome = Readonly<Record<keyof typeof outcome, unknown>>;

const writable = { ...origin, ...outcome };
const writableNames = Object.keys(writable).join(', ');
const columns = `number, ${writableNames}`;

/** `$2`, a JSON array of objects, as rows. */
const given = (types: Readonly<Record<string, string>>): string =>
  `json_to_recordset($2::json) as given (number integer, ${Object.entries(types)
    .map(([name, type]) => `${name} ${type}`)
    .join(', ')})`;

const givenNames = (types: Readonly<Record<string, string>>): string =>
  Object.keys(types)
    .map((name) => `given.${name}`)
    .join(', ');

/** Stores new trials of the study `$1`. */
export const insertTrials: Statement = {
  name: 'insert_trials',
  text: `
insert into parzen.trials (study_id, number, ${writableNames})
select $1::bigint, given.number, ${givenNames(writable)} from ${given(writable)}`,
};

/**
 * Sets these columns of trials of the study `$1`; fails where one of them is not there or has finished. Each row is found by
 * its number, one by one, and changed by its primary key: however the plan joins them, it has no other rows to look at.
 */
const update = (types: Readonly<Record<string, string>>): string => `
with given as materialized (
  select given.*, (select id from parzen.trials where study_id = $1 and number = given.number) as id
  from ${given(types)}
), changed as (
  update parzen.trials trial set (${Object.keys(types).join(', ')}) = row(${givenNames(types)})
  from given
  where trial.id = any (array(select id from given)) and trial.id = given.id and trial.finish_sequence is null
  returning 1
)
select parzen.expect_rows((select count(*) from given), count(*)) from changed`;

/** Replaces trials of the study `$1`. */
export const updateTrials: Statement = { name: 'update_trials', text: update(writable) };

/** The same where only the outcome changed. */
export const updateOutcomes: Statement = { name: 'update_outcomes', text: update(outcome) };

/**
 * The trials under these leases, locked like `lockTrial`, in an order that is the same for everyone. The study is compared
 * in a way that no index can serve, so that the plan goes by the lease.
 */
export const lockLeased: Statement = {
  name: 'lock_leased',
  text: `
select ${columns} from parzen.trials where lease_token = any ($2) and study_id is not distinct from $1
order by id for no key update`,
};

/** One trial, its row locked against reports and heartbeats, so that what is decided about it stays true. */
export const lockTrial: Statement = {
  name: 'lock_trial',
  text: `
select ${columns} from parzen.trials where study_id = $1 and number = $2::bigint for no key update`,
};

export const trialByEnqueueRequest: Statement = {
  name: 'trial_by_enqueue_request',
  text: `
select ${columns} from parzen.trials where enqueue_request_id = $2 and study_id is not distinct from $1`,
};

export const waitingTrials: Statement = {
  name: 'waiting_trials',
  text: `select ${columns} from parzen.trials where study_id = $1 and state = 'WAITING' order by number`,
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

export const runningParams: Statement = {
  name: 'running_params',
  text: `select number, params from parzen.trials where study_id = $1 and state = 'RUNNING' order by number`,
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
