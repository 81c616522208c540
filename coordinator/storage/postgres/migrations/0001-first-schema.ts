/**
 * Studies, trials and what belongs to them, workers, data sets. Times are UTC milliseconds, sizes bytes. Metrics are
 * jsonb in which the texts "NaN", "Infinity" and "-Infinity" stand for those numbers, which jsonb lacks. A study's
 * definition is json and not jsonb, because the order of its keys matters (sums of weights).
 *
 * There is no index on the expiry of leases: running trials are few, and without it a heartbeat, which changes the
 * expiry only, touches no index at all (a heap-only update).
 */
export const firstSchema = `
create table parzen.studies (
  id bigint generated always as identity primary key,
  name text collate "C" not null unique,
  definition json not null,
  definition_text text not null,
  definition_hash text not null,
  dataset text collate "C",
  state text not null check (state in ('RUNNING', 'PAUSED', 'STOPPED', 'FINISHED')),
  trials_max integer not null,
  next_number integer not null,
  finish_sequence integer not null default 0,
  created_at_ms bigint not null,
  check (0 <= finish_sequence and finish_sequence <= next_number)
);

create table parzen.trials (
  id bigint generated always as identity primary key,
  study_id bigint not null references parzen.studies on delete cascade,
  number integer not null check (number >= 0),
  state text not null check (state in ('WAITING', 'RUNNING', 'COMPLETE', 'PRUNED', 'FAIL', 'CANCELLED')),
  reason text,
  given jsonb,
  params jsonb,
  off_grid boolean not null,
  objective_values double precision[] not null,
  metrics jsonb not null,
  attempt integer not null check (attempt >= 0),
  retries_error integer not null,
  retries_timeout integer not null,
  retries_lost integer not null,
  lease_token text collate "C",
  lease_expires_at_ms bigint,
  lease_worker text,
  lease_gpu_uuid text,
  lease_gpu_memory_bytes bigint,
  memory_floor_bytes bigint,
  watermark_finish_sequence integer,
  watermark_running integer[],
  worker text,
  message text not null,
  cancel_requested boolean not null,
  last_report_step bigint,
  last_report_metrics jsonb,
  enqueue_request_id text collate "C",
  created_at_ms bigint not null,
  started_at_ms bigint,
  finished_at_ms bigint,
  finish_sequence integer check (finish_sequence > 0),
  unique (study_id, number),
  unique (study_id, finish_sequence),
  constraint trials_lease_while_running check ((state = 'RUNNING') = (lease_token is not null)),
  constraint trials_lease_whole check (
    (lease_token is null) = (lease_expires_at_ms is null) and (lease_token is null) = (lease_worker is null)),
  constraint trials_finished check (
    (state in ('WAITING', 'RUNNING')) = (finish_sequence is null) and (finish_sequence is null) = (finished_at_ms is null)),
  constraint trials_params check (params is not null or state in ('WAITING', 'CANCELLED')),
  constraint trials_watermark check ((watermark_finish_sequence is null) = (watermark_running is null)),
  constraint trials_last_report check ((last_report_step is null) = (last_report_metrics is null))
) with (fillfactor = 85);
create unique index trials_lease_token on parzen.trials (lease_token) where lease_token is not null;
create unique index trials_enqueue_request on parzen.trials (study_id, enqueue_request_id)
  where enqueue_request_id is not null;
create index trials_waiting on parzen.trials (study_id, number) where state = 'WAITING';
create index trials_running on parzen.trials (study_id, number) where state = 'RUNNING';

create table parzen.trial_attempts (
  token text collate "C" not null constraint trial_attempts_token primary key,
  request_id text collate "C" not null constraint trial_attempts_request unique,
  study_id bigint not null,
  number integer not null,
  attempt integer not null,
  worker text not null,
  gpu_uuid text,
  started_at_ms bigint not null,
  ended_at_ms bigint,
  outcome text,
  message text not null,
  peak_memory_bytes bigint,
  constraint trial_attempts_trial foreign key (study_id, number)
    references parzen.trials (study_id, number) on delete cascade
);
create index trial_attempts_by_trial on parzen.trial_attempts (study_id, number, attempt);

create table parzen.trial_reports (
  study_id bigint not null,
  number integer not null,
  attempt integer not null,
  step bigint not null,
  metrics jsonb not null,
  primary key (study_id, number, attempt, step),
  constraint trial_reports_trial foreign key (study_id, number)
    references parzen.trials (study_id, number) on delete cascade
);

create table parzen.late_results (
  id bigint generated always as identity primary key,
  study_id bigint not null,
  number integer not null,
  token text collate "C" not null unique,
  worker text not null,
  received_at_ms bigint not null,
  outcome text not null,
  metrics jsonb not null,
  message text not null,
  constraint late_results_trial foreign key (study_id, number)
    references parzen.trials (study_id, number) on delete cascade
);
create index late_results_by_trial on parzen.late_results (study_id, number);

create table parzen.workers (
  id text collate "C" primary key,
  host text not null,
  gpu_uuid text,
  gpu_name text not null,
  gpu_memory_bytes bigint,
  slots integer not null,
  runtime text not null,
  version text not null,
  registered_at_ms bigint not null,
  last_seen_at_ms bigint not null
);

create table parzen.datasets (
  hash text collate "C" primary key,
  stored_order bigint generated always as identity unique,
  layout text not null,
  rows bigint not null,
  first_time_ms bigint not null,
  last_time_ms bigint not null,
  bytes bigint not null,
  created_at_ms bigint not null
);

-- Every name a data set was stored under; the highest stored_order of a name is the one that the name means.
create table parzen.dataset_names (
  name text collate "C" not null,
  hash text collate "C" not null references parzen.datasets on delete cascade,
  stored_order bigint generated always as identity unique,
  primary key (name, hash)
);
create index dataset_names_by_hash on parzen.dataset_names (hash, stored_order);

create table parzen.dataset_chunks (
  hash text collate "C" not null references parzen.datasets on delete cascade,
  ordinal integer not null check (ordinal >= 0),
  content bytea not null,
  primary key (hash, ordinal)
);
-- Market data hardly compresses; uncompressed it is read in one piece.
alter table parzen.dataset_chunks alter column content set storage external;

-- Files that a trial leaves: predictions per model, for scoring again under another rule.
create table parzen.artifacts (
  study_id bigint not null,
  number integer not null,
  name text collate "C" not null,
  sha256 text not null,
  content_type text not null,
  content bytea not null,
  primary key (study_id, number, name),
  constraint artifacts_trial foreign key (study_id, number)
    references parzen.trials (study_id, number) on delete cascade
);
`;
