/**
 * Schema `optuna`: the tables that Optuna's storage class looks for, as views over ours, so that Optuna and
 * optuna-dashboard read studies live. Whoever changes them knows `docs/guides/optuna.md`; what a reader relies on:
 *
 * - All twelve relations, `alembic_version` and the four enum types exist, and both version relations have their row;
 *   what is missing a reader tries to create.
 * - Ids are plain columns, so that a look-up by trial id uses the primary key. They grow with the trial's number, become
 *   visible in that order (numbers are given under the study's row lock), and a finished trial never changes: a reader
 *   that keeps what it has read asks only for what is newer.
 * - Every value must be one that the reader can decode: one that it cannot makes the whole study unreadable.
 *
 * What a definition says is kept beside it in rows (`study_parameters`, `study_objectives`), written once with the study:
 * taking it out of the json for every trial that is read costs ten times as much as all the rest.
 *
 * The only relation that can be written is `study_system_attributes`, where optuna-dashboard keeps its notes.
 */
export const optunaViews = `
do $$ begin
  -- "create schema if not exists" asks for the right to create even when there is nothing to create.
  if to_regnamespace('optuna') is null then create schema optuna; end if;
end $$;

-- The parameters of a study in the order of its file. \`choices\` as jsonb, booleans as 1 and 0: a choice is looked up as
-- the sampler does it, where true equals 1.
create table parzen.study_parameters (
  study_id bigint not null references parzen.studies on delete cascade,
  ordinal integer not null,
  name text not null,
  choices jsonb[],
  distribution text not null,
  primary key (study_id, ordinal)
);

-- Objectives are weighted sums of metrics, summed in this order.
create table parzen.study_objectives (
  study_id bigint not null references parzen.studies on delete cascade,
  ordinal integer not null,
  name text not null,
  direction text not null,
  metrics text[] not null,
  weights double precision[] not null,
  primary key (study_id, ordinal)
);

create function parzen.comparable_choice(value jsonb) returns jsonb immutable parallel safe language sql as $$
  select case value when 'true' then '1' when 'false' then '0' else value end
$$;

create function parzen.definition_parameters(definition json)
returns table (ordinal integer, name text, choices jsonb[], distribution text) immutable language sql as $$
  select item.position::integer - 1,
         item.value ->> 'name',
         case when item.value ->> 'kind' = 'categorical' then array(
           select parzen.comparable_choice(choice.value::jsonb)
           from json_array_elements(item.value -> 'choices') with ordinality as choice (value, position)
           order by choice.position) end,
         json_build_object(
           'name', case item.value ->> 'kind' when 'categorical' then 'CategoricalDistribution'
                                              when 'int' then 'IntDistribution' else 'FloatDistribution' end,
           'attributes', case when item.value ->> 'kind' = 'categorical'
             then json_build_object('choices', item.value -> 'choices')
             else json_build_object('low', item.value -> 'low', 'high', item.value -> 'high',
                                    'log', item.value -> 'log', 'step', item.value -> 'step') end)::text
  from json_array_elements(definition -> 'space') with ordinality as item (value, position)
$$;

create function parzen.definition_objectives(definition json)
returns table (ordinal integer, name text, direction text, metrics text[], weights double precision[])
immutable language sql as $$
  select item.position::integer - 1,
         item.value ->> 'name',
         item.value ->> 'direction',
         array(select weight.key from json_each_text(item.value -> 'weights') with ordinality
                 as weight (key, value, position) order by weight.position),
         array(select weight.value::double precision from json_each_text(item.value -> 'weights') with ordinality
                 as weight (key, value, position) order by weight.position)
  from json_array_elements(definition -> 'objectives') with ordinality as item (value, position)
$$;

insert into parzen.study_parameters (study_id, ordinal, name, choices, distribution)
select study.id, parameter.* from parzen.studies study, parzen.definition_parameters(study.definition) parameter;
insert into parzen.study_objectives (study_id, ordinal, name, direction, metrics, weights)
select study.id, objective.* from parzen.studies study, parzen.definition_objectives(study.definition) objective;

-- UTC without a zone, which is what Optuna stores.
create function parzen.utc(ms bigint) returns timestamp immutable parallel safe language sql as $$
  select timestamp 'epoch' + ms * interval '1 millisecond'
$$;

-- weight * metric as doubles have it, but infinite beyond 1e300 and 0 when too small for a double: PostgreSQL raises errors
-- there, and one report would make the whole study unreadable. (Nor can the sum overflow then.)
create function parzen.weighted(weight double precision, metric double precision)
returns double precision immutable parallel safe language sql as $$
  select case
    when weight = 0 or metric in (0, 'NaN') then weight * metric
    when abs(metric) > '1e300'::double precision / greatest(abs(weight), 1)
      then sign(weight) * sign(metric) * 'Infinity'::double precision
    when abs(metric) < '5e-324'::double precision / least(abs(weight), 1) then 0
    else weight * metric
  end
$$;

create type optuna.studydirection as enum ('NOT_SET', 'MINIMIZE', 'MAXIMIZE');
create type optuna.trialstate as enum ('RUNNING', 'COMPLETE', 'PRUNED', 'FAIL', 'WAITING');
create type optuna.trialvaluetype as enum ('FINITE', 'INF_POS', 'INF_NEG');
create type optuna.trialintermediatevaluetype as enum ('FINITE', 'INF_POS', 'INF_NEG', 'NAN');

create view optuna.version_info as
select 1 as version_info_id, 12 as schema_version, 'Parzen'::varchar(256) as library_version;

-- The same from Optuna 3.2 to 5.0. A reader that expects another one refuses and says so.
create view optuna.alembic_version as select 'v3.2.0.a'::varchar(32) as version_num;

create view optuna.studies as
select id as study_id, name::varchar(512) as study_name from parzen.studies;

-- Readers take the directions in the order in which the rows come.
create view optuna.study_directions as
select study_id * 1024 + ordinal as study_direction_id,
       upper(direction)::optuna.studydirection as direction,
       study_id,
       ordinal as objective
from parzen.study_objectives order by study_id, ordinal;

create view optuna.study_user_attributes as
select study.id * 1024 + attribute.ordinal as study_user_attribute_id,
       study.id as study_id,
       attribute.key::varchar(512) as key,
       attribute.value::text as value_json
from parzen.studies study cross join lateral (values
  (0, 'parzen:state', to_json(study.state)),
  (1, 'parzen:trials', to_json(study.trials_max)),
  (2, 'parzen:trainer', study.definition -> 'trainer'),
  (3, 'parzen:dataset', to_json(study.dataset)),
  (4, 'parzen:fixed', study.definition -> 'fixed'),
  (5, 'parzen:objectives', study.definition -> 'objectives')
) as attribute (ordinal, key, value)
where attribute.value is not null;

create table parzen.dashboard_attributes (
  id bigint generated always as identity primary key,
  study_id bigint not null references parzen.studies on delete cascade,
  key text collate "C" not null check (key like 'dashboard:%' and length(key) <= 512),
  value_json text not null check (length(value_json) <= 16384),
  unique (study_id, key)
);

-- With one objective its name stays out: the data frame's column would be called after it and no longer 'value'.
create view optuna.study_system_attributes as
select id as study_system_attribute_id, study_id, key::varchar(512) as key, value_json
from parzen.dashboard_attributes
union all
select -study_id, study_id, 'study:metric_names', json_agg(name order by ordinal)::text
from parzen.study_objectives group by study_id having count(*) > 1;

create function parzen.write_dashboard_attribute() returns trigger
security definer set search_path = pg_catalog language plpgsql as $$
begin
  if (case tg_op when 'INSERT' then new.key else old.key end) not like 'dashboard:%' then
    raise insufficient_privilege using message =
      'a study of Parzen is read-only for Optuna; only notes of optuna-dashboard can be written';
  end if;
  if tg_op = 'INSERT' then
    insert into parzen.dashboard_attributes (study_id, key, value_json)
    values (new.study_id, new.key, new.value_json) returning id into new.study_system_attribute_id;
  else
    update parzen.dashboard_attributes set value_json = new.value_json where id = old.study_system_attribute_id;
  end if;
  return new;
end $$;
create trigger write_dashboard_attribute instead of insert or update on optuna.study_system_attributes
for each row execute function parzen.write_dashboard_attribute();

-- A trial that was cancelled while it waited has never started; readers expect a start of whatever has ended.
create view optuna.trials as
select id as trial_id,
       number,
       study_id,
       (case state when 'CANCELLED' then 'FAIL' else state end)::optuna.trialstate as state,
       case when state <> 'WAITING' then parzen.utc(coalesce(started_at_ms, finished_at_ms)) end as datetime_start,
       parzen.utc(finished_at_ms) as datetime_complete
from parzen.trials;

create view optuna.trial_params as
select trial.id * 1024 + parameter.ordinal as param_id,
       trial.id as trial_id,
       parameter.name::varchar(512) as param_name,
       case when parameter.choices is null then (trial.params ->> parameter.name)::double precision
            else array_position(parameter.choices, parzen.comparable_choice(trial.params -> parameter.name))
                 - 1::double precision end as param_value,
       parameter.distribution as distribution_json
from parzen.trials trial join parzen.study_parameters parameter using (study_id)
where trial.params ? parameter.name;

create view optuna.trial_values as
select trial.id * 1024 + item.position - 1 as trial_value_id,
       trial.id as trial_id,
       item.position::integer - 1 as objective,
       case when abs(item.value) < 'Infinity' then item.value end as value,
       (case item.value when 'Infinity' then 'INF_POS' when '-Infinity' then 'INF_NEG' else 'FINITE'
        end)::optuna.trialvaluetype as value_type
from parzen.trials trial cross join lateral unnest(trial.objective_values) with ordinality as item (value, position);

-- The first objective at each step of the latest attempt; steps at which one of its metrics is missing have none. The id is
-- numeric because a step may be any whole number.
create view optuna.trial_intermediate_values as
select trial.id * 18014398509481984::numeric + report.step as trial_intermediate_value_id,
       trial.id as trial_id,
       report.step,
       case when abs(total.value) < 'Infinity' then total.value end as intermediate_value,
       (case total.value when 'Infinity' then 'INF_POS' when '-Infinity' then 'INF_NEG' when 'NaN' then 'NAN'
        else 'FINITE' end)::optuna.trialintermediatevaluetype as intermediate_value_type
from parzen.trials trial
join parzen.trial_reports report using (study_id, number, attempt)
join parzen.study_objectives objective on objective.study_id = trial.study_id and objective.ordinal = 0
cross join lateral (
  select sum(parzen.weighted(term.weight, (report.metrics ->> term.metric)::double precision) order by term.position)
  from unnest(objective.metrics, objective.weights) with ordinality as term (metric, weight, position)
  having count(*) = count(report.metrics ->> term.metric)
) as total (value);

-- Metrics, and what else is known of a trial where it says something. A double's own text: jsonb writes 1e300 with 300 zeros.
create view optuna.trial_user_attributes as
select trial.id * 4096 + attribute.position as trial_user_attribute_id,
       trial.id as trial_id,
       attribute.key::varchar(512) as key,
       attribute.value as value_json
from parzen.trials trial cross join lateral (
  select metric.position, metric.key, metric.value::double precision::text as value
  from jsonb_each_text(trial.metrics) with ordinality as metric (key, value, position)
  where metric.key not like 'parzen:%'
  union all
  select own.position, own.key, own.value::text
  from (values
    (4090, 'parzen:reason', case when trial.reason <> 'finished' then to_json(trial.reason) end),
    (4091, 'parzen:message', case when trial.message <> '' then to_json(trial.message) end),
    (4092, 'parzen:worker', to_json(trial.worker)),
    (4093, 'parzen:attempt', case when trial.attempt > 1 then to_json(trial.attempt) end),
    (4094, 'parzen:off_grid', case when trial.off_grid then to_json(true) end)
  ) as own (position, key, value)
  where own.value is not null
) as attribute;

-- Optuna's own name for values that a queued trial was given.
create view optuna.trial_system_attributes as
select id as trial_system_attribute_id, id as trial_id, 'fixed_params'::varchar(512) as key, given::text as value_json
from parzen.trials where given is not null;

-- Empty: a trial without a heartbeat is never declared dead by a reader. Leases are the coordinator's business.
create view optuna.trial_heartbeats as
select null::bigint as trial_heartbeat_id, null::bigint as trial_id, null::timestamp as heartbeat where false;
`;
