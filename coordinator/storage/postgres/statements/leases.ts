import type { Statement } from './statement.js';

/** Stores a report under a lease that holds, and moves its expiry. No row: the lease is lost, nothing was stored. */
export const storeReport: Statement = {
  name: 'store_report',
  text: `
with held as (
  update parzen.trials set
    lease_expires_at_ms = greatest(lease_expires_at_ms, $4),
    last_report_metrics = case
      when last_report_step > $2::bigint then last_report_metrics
      else $3::jsonb end,
    last_report_step = greatest(last_report_step, $2::bigint)
  where lease_token = $1
  returning study_id, number, attempt, cancel_requested
), stored as (
  insert into parzen.trial_reports (study_id, number, attempt, step, metrics)
  select study_id, number, attempt, $2, $3 from held
  on conflict (study_id, number, attempt, step) do update set metrics = excluded.metrics
)
select cancel_requested from held`,
};

/** Reports of the latest attempt. */
export const listReports: Statement = {
  name: 'list_reports',
  text: `
select report.step, report.metrics
from parzen.trial_reports report join parzen.trials trial using (study_id, number, attempt)
where report.study_id = $1 and report.number = $2::bigint order by report.step`,
};

/**
 * Moves the expiry of all leases that nobody is working on right now. It waits for no lock, so that it can never be
 * part of a deadlock, however many rows it takes; what it skipped goes through `extendLease`.
 */
export const extendFreeLeases: Statement = {
  name: 'extend_free_leases',
  text: `
with free as (
  select id from parzen.trials where lease_token = any ($1) for no key update skip locked
)
update parzen.trials trial set lease_expires_at_ms = greatest(trial.lease_expires_at_ms, $2)
from free where trial.id = free.id and trial.lease_token = any ($1)
returning trial.lease_token as token, trial.cancel_requested`,
};

/** Waits for the row; no row: the lease is lost. */
export const extendLease: Statement = {
  name: 'extend_lease',
  text: `
update parzen.trials set lease_expires_at_ms = greatest(lease_expires_at_ms, $2) where lease_token = $1
returning lease_token as token, cancel_requested`,
};

export const findLease: Statement = {
  name: 'find_lease',
  text: `select study_id, number, token from parzen.trial_attempts where token = $1`,
};

export const expiredLeases: Statement = {
  name: 'expired_leases',
  text: `
select study_id, number, lease_token from parzen.trials
where state = 'RUNNING' and lease_expires_at_ms < $1
order by lease_expires_at_ms, study_id, number limit $2`,
};
