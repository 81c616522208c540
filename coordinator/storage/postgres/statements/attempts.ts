import type { Statement } from './statement.js';

const columns = `
  number, attempt, token, request_id, worker, gpu_uuid, started_at_ms, ended_at_ms, outcome, message, peak_memory_bytes`;

export const insertAttempt: Statement = {
  name: 'insert_attempt',
  text: `
insert into parzen.trial_attempts (study_id, ${columns}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
};

export const endAttempt: Statement = {
  name: 'end_attempt',
  text: `
update parzen.trial_attempts set ended_at_ms = $2, outcome = $3, message = $4, peak_memory_bytes = $5
where token = $1`,
};

export const attemptByRequest: Statement = {
  name: 'attempt_by_request',
  text: `select ${columns} from parzen.trial_attempts where study_id = $1 and request_id = $2`,
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
