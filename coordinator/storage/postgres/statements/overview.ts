import { summableMax } from '../../port/overview.js';
import type { Statement } from './statement.js';

/**
 * Studies that are under way, or over since `$1`, the newest `$2` of them, with the number of all. A study is over since its
 * last trial finished.
 */
export const overviewStudies: Statement = {
  name: 'overview_studies',
  text: `
select study.id, study.name, study.state, study.definition -> 'sampler' ->> 'type' as sampler,
  study.definition -> 'objectives' as objectives, study.trials_max, study.next_number, study.finish_sequence,
  (select count(*) from parzen.trials where study_id = study.id and state = 'WAITING') as waiting,
  (select count(*) from parzen.trials where study_id = study.id and state = 'RUNNING') as running,
  count(*) over () as studies
from parzen.studies study
  left join parzen.trials latest on latest.study_id = study.id and latest.finish_sequence = study.finish_sequence
where study.state in ('RUNNING', 'PAUSED') or coalesce(latest.finished_at_ms, study.created_at_ms) >= $1
order by study.id desc limit $2`,
};

const newlyFinished = `
unnest($1::bigint[], $2::integer[]) as known (study_id, finish_sequence)
  join parzen.trials trial on trial.study_id = known.study_id and trial.finish_sequence > known.finish_sequence`;

/** Trials of the studies `$1` that finished after the finish sequences `$2`, by state. */
export const overviewFinished: Statement = {
  name: 'overview_finished',
  text: `
select trial.study_id, trial.state, count(*) as trials from ${newlyFinished} group by trial.study_id, trial.state`,
};

/** Their values, per objective. `$3`: for each study the positions of its maximised objectives, joined by commas. */
export const overviewValues: Statement = {
  name: 'overview_values',
  text: `
with found as (
  select trial.study_id, value.objective - 1 as objective, value.value, trial.finished_at_ms, trial.finish_sequence,
    trial.reason = 'finished' and value.value not in ('NaN', 'Infinity', '-Infinity') as drawn,
    (value.objective - 1)::integer = any (known.maximised) as maximised
  from (select study_id, finish_sequence, string_to_array(maximised, ',')::integer[] as maximised
        from unnest($1::bigint[], $2::integer[], $3::text[]) as given (study_id, finish_sequence, maximised)) known
    join parzen.trials trial on trial.study_id = known.study_id and trial.finish_sequence > known.finish_sequence,
    unnest(trial.objective_values) with ordinality as value (value, objective)
  where trial.state = 'COMPLETE'
), best as (
  select distinct on (study_id, objective) study_id, objective, value, finished_at_ms from found
  order by study_id, objective, case when maximised then -value else value end, finish_sequence
), drawn as (
  select study_id, objective, count(*) as count, avg(value) filter (where abs(value) < ${summableMax}) as mean,
    case when bool_or(abs(value) >= ${summableMax}) then 'Infinity'
      else var_pop(value) filter (where abs(value) < ${summableMax}) * count(*) end as squares
  from found where drawn group by study_id, objective
)
select best.study_id, best.objective::integer as objective, best.value as best, best.finished_at_ms as best_at_ms,
  coalesce(drawn.count, 0) as count, coalesce(drawn.mean, 0) as mean, coalesce(drawn.squares, 0) as squares
from best left join drawn using (study_id, objective) order by best.study_id, best.objective`,
};

export const overviewLeases: Statement = {
  name: 'overview_leases',
  text: `select min(lease_expires_at_ms) as oldest from parzen.trials where state = 'RUNNING'`,
};

/** Workers seen since `$1`; `$2`: those not seen since are lost, or have gone as they said that they would. */
export const overviewWorkers: Statement = {
  name: 'overview_workers',
  text: `
select case when last_seen_at_ms < $2 then 'lost' when worker.draining then 'draining'
    when busy.lease_worker is null then 'idle' else 'busy' end as state,
  count(*) as workers
from parzen.workers worker
  left join (select distinct lease_worker from parzen.trials where state = 'RUNNING') busy on busy.lease_worker = worker.id
where last_seen_at_ms >= $1 and not (worker.draining and last_seen_at_ms < $2) group by 1`,
};
