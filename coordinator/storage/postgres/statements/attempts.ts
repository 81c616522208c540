import type { Statement } from './statement.js';

const columns = `
  number, attempt, token, request_id, worker, gpu_uuid, started_at_ms, ended_at_ms, outcome, message, peak_memory_bytes`;

const given = 'json_to_recordset($2::json) as given';

/** Stores attempts of the study `$1`; `$2`: a JSON array of objects with the columns. */
export const insertAttempts: Statement = {
  name: 'insert_attempts',
  text: `
insert into parzen.trial_attempts (study_id, ${columns})
select $1::bigint, ${columns} from ${given} (
  number integer, attempt integer, token text, request_id text, worker text, gpu_uuid text, started_at_ms bigint,
  ended_at_ms bigint, outcome text, message text, peak_memory_bytes bigint)`,
};

/** Fails where one of them is not there or has ended. `is not distinct from`: see `lockLeased`. */
export const endAttempts: Statement = {
  name: 'end_attempts',
  text: `
with given as materialized (
  select * from ${given} (token text, ended_at_ms bigint, outcome text, message text, peak_memory_bytes bigint)
), changed as (
  update parzen.trial_attempts attempt
  set ended_at_ms = given.ended_at_ms, outcome = given.outcome, message = given.message,
    peak_memory_bytes = given.peak_memory_bytes
  from given
  where attempt.token = any (array(select token from given)) and attempt.token = given.token
    and attempt.study_id is not distinct from $1 and attempt.ended_at_ms is null
  returning 1
)
select parzen.expect_rows((select count(*) from given), count(*)) from changed`,
};

/** The leases that requests led to, in any study. */
export const leasesByRequests: Statement = {
  name: 'leases_by_requests',
  text: `
select request_id, study_id, number, token from parzen.trial_attempts where request_id = any ($1)`,
};

export const attemptsByTokens: Statement = {
  name: 'attempts_by_tokens',
  text: `
select ${columns} from parzen.trial_attempts where token = any ($2) and study_id is not distinct from $1`,
};

export const attemptByToken: Statement = {
  name: 'attempt_by_token',
  text: `select ${columns} from parzen.trial_attempts where study_id = $1 and token = $2`,
};

export const listAttempts: Statement = {
  name: 'list_attempts',
  text: `
select ${columns} from parzen.trial_attempts where study_id = $1 and number = $2::bigint
order by attempt, started_at_ms`,
};

/** Ended attempts by outcome. */
export const countAttempts: Statement = {
  name: 'count_attempts',
  text: `
select outcome, count(*) as attempts from parzen.trial_attempts
where study_id = $1 and outcome is not null group by outcome`,
};

/** One per token: a worker that repeats itself adds no evidence. */
export const insertLateResult: Statement = {
  name: 'insert_late_result',
  text: `
insert into parzen.late_results (study_id, number, token, worker, received_at_ms, outcome, metrics, message)
values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (token) do nothing`,
};

export const listLateResults: Statement = {
  name: 'list_late_results',
  text: `
select number, token, worker, received_at_ms, outcome, metrics, message
from parzen.late_results where study_id = $1 order by id`,
};
