import type { Statement } from './statement.js';

const columns = `
  id, definition, definition_text, definition_hash, dataset, state, trials_max, next_number, finish_sequence, created_at_ms`;

/**
 * The study, what its definition says in rows, and its enqueued trials in one statement; no row when the name is taken.
 * `$8`: the values given to the enqueued trials, a JSON array.
 */
export const createStudy: Statement = {
  name: 'create_study',
  text: `
with study as (
  insert into parzen.studies
    (name, definition, definition_text, definition_hash, dataset, state, trials_max, next_number, created_at_ms)
  values ($1, $2::json, $3, $4, $5, 'RUNNING', $6, jsonb_array_length($8::jsonb), $7)
  on conflict (name) do nothing
  returning id
), enqueued as (
  insert into parzen.trials
    (study_id, number, state, given, off_grid, objective_values, metrics, attempt,
     retries_error, retries_timeout, retries_lost, message, cancel_requested, created_at_ms)
  select study.id, queued.position - 1, 'WAITING', queued.given, false, '{}', '{}', 0, 0, 0, 0, '', false, $7
  from study, jsonb_array_elements($8::jsonb) with ordinality as queued (given, position)
), parameters as (
  insert into parzen.study_parameters (study_id, ordinal, name, choices, distribution)
  select study.id, parameter.* from study, parzen.definition_parameters($2::json) parameter
), objectives as (
  insert into parzen.study_objectives (study_id, ordinal, name, direction, metrics, weights)
  select study.id, objective.* from study, parzen.definition_objectives($2::json) objective
)
select id from study`,
};

export const findStudy: Statement = {
  name: 'find_study',
  text: `select ${columns} from parzen.studies where name = $1`,
};

export const listStudies: Statement = {
  name: 'list_studies',
  text: `select ${columns} from parzen.studies order by id`,
};

/**
 * The lock under which everything in a study happens. "No key update" is as exclusive among transactions as "update",
 * but does not hold up foreign keys that look at the row.
 */
export const lockStudy: Statement = {
  name: 'lock_study',
  text: `
select state, trials_max, next_number, finish_sequence, changes, change_tag from parzen.studies where id = $1
for no key update`,
};

/** What of a study never changes. */
export const studyById: Statement = {
  name: 'study_by_id',
  text: `select ${columns} from parzen.studies where id = $1`,
};

/** Written once per transaction that changes anything, at its end. */
export const updateStudy: Statement = {
  name: 'update_study',
  text: `
update parzen.studies
set state = $2, trials_max = $3, next_number = $4, finish_sequence = $5, changes = $6, change_tag = $7
where id = $1`,
};

export const deleteStudy: Statement = {
  name: 'delete_study',
  text: `delete from parzen.studies where id = $1`,
};
