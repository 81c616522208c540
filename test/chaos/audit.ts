/** Compares the database with what workers and people were told. */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { ClientConfig } from 'pg';
import { openContext } from '../../coordinator/cli/open-context.js';
import { openPostgres } from '../../coordinator/storage/postgres/open-postgres.js';
import { silentLog } from '../../shared/platform/log.js';
import type { JournalEntry } from '../../worker/agent/journal.js';
import { instantMetrics } from '../../worker/trainers/instant.js';
import { run } from '../helpers/postgres.js';
import type { Enqueued } from './people.js';
import { metricsOfLease, stragglersTrainer } from './stragglers.js';

export interface Audit {
  /** Results that workers were told are recorded, one per lease. */
  readonly acknowledged: number;
  /** … that the database lacks, or has otherwise. */
  readonly lost: number;
  /** Trials for which more than one result was acknowledged. */
  readonly duplicated: number;
  readonly finished: number;
  readonly budget: number;
  readonly studies: number;
  readonly attempts: number;
  readonly late: number;
  readonly suggestions: number;
  /** Everything that is wrong, the above included. */
  readonly problems: readonly string[];
}

/** Every complete line of the workers' journals. A worker that is killed may leave half a line at the end. */
export function readJournals(directory: string): readonly JournalEntry[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.journal'))
    .flatMap((name) => readFileSync(path.join(directory, name), 'utf8').split('\n').slice(0, -1))
    .map((line) => JSON.parse(line) as JournalEntry);
}

/**
 * What must hold at any moment, each a query whose rows are violations. `at any moment` because it is asked under fire as
 * well, in one statement each.
 */
const always: Readonly<Record<string, string>> = {
  'a trial with two live leases': `
    select study_id, number from parzen.trial_attempts where ended_at_ms is null
    group by study_id, number having count(*) > 1`,
  'a running trial whose lease is not its open attempt': `
    select t.study_id, t.number from parzen.trials t
    left join parzen.trial_attempts a on a.token = t.lease_token and a.ended_at_ms is null and a.attempt = t.attempt
    where t.state = 'RUNNING' and a.token is null`,
  'an open attempt of a trial that does not run': `
    select a.study_id, a.number from parzen.trial_attempts a join parzen.trials t using (study_id, number)
    where a.ended_at_ms is null and t.state <> 'RUNNING'`,
  'an attempt that began before the one before had ended': `
    select study_id, number from (
      select study_id, number, started_at_ms, attempt,
        lag(ended_at_ms) over w as before, lag(attempt, 1, 0) over w as attempt_before
      from parzen.trial_attempts window w as (partition by study_id, number order by attempt)) a
    where attempt <> attempt_before + 1 or started_at_ms < before`,
  'a budget that is exceeded': `
    select s.id from parzen.studies s join parzen.trials t on t.study_id = s.id
    group by s.id, s.trials_max, s.next_number
    having count(*) > s.trials_max or count(*) <> s.next_number or max(t.number) <> s.next_number - 1`,
  'a finish sequence with a gap': `
    select s.id from parzen.studies s left join parzen.trials t on t.study_id = s.id
    group by s.id, s.finish_sequence
    having count(t.finish_sequence) <> s.finish_sequence or coalesce(max(t.finish_sequence), 0) <> s.finish_sequence`,
};

/** What must hold when every study is over. */
const atTheEnd: Readonly<Record<string, string>> = {
  'a study that has not finished with exactly its budget': `
    select s.name, s.state from parzen.studies s
    where s.state <> 'FINISHED' or s.trials_max <> s.finish_sequence
      or s.trials_max <> (select count(*) from parzen.trials t where t.study_id = s.id and t.finish_sequence is not null)`,
  'an attempt without an end': `select token from parzen.trial_attempts where ended_at_ms is null or outcome is null`,
  'a trial whose last attempt ended otherwise than the trial': `
    select t.study_id, t.number, t.state, t.reason, a.outcome from parzen.trials t
    join parzen.trial_attempts a on (a.study_id, a.number, a.attempt) = (t.study_id, t.number, t.attempt)
    where a.outcome is distinct from t.reason`,
  'a trial with another number of attempts than it has rows': `
    select t.study_id, t.number from parzen.trials t left join parzen.trial_attempts a using (study_id, number)
    group by t.study_id, t.number, t.attempt having count(a.token) <> t.attempt`,
  'a trial whose retries are not its attempts': `
    select t.study_id, t.number from parzen.trials t join parzen.trial_attempts a using (study_id, number)
    group by t.study_id, t.number, t.retries_error, t.retries_timeout, t.retries_lost
    having t.retries_error <> count(*) filter (where a.outcome = 'error')
      or t.retries_timeout <> count(*) filter (where a.outcome = 'timeout')
      or t.retries_lost <> count(*) filter (
        where a.outcome in ('lost', 'preempted'))`,
};

async function violations(
  database: ClientConfig,
  queries: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const [name, sql] of Object.entries(queries)) {
    const rows = await run(database, sql);
    for (const row of rows.slice(0, 5)) found.push(`${name}: ${JSON.stringify(row)}`);
    if (rows.length > 5) found.push(`${name}: ${rows.length - 5} more`);
  }
  return found;
}

/** For a look under fire; rejects when the database is away. */
export const violationsNow = (database: ClientConfig): Promise<readonly string[]> =>
  violations(database, always);

interface StoredResult {
  readonly study: string;
  readonly number: number;
  readonly attempt: number;
  readonly token: string;
  readonly outcome: string | null;
  readonly last_attempt: number;
  readonly state: string;
  readonly params: Readonly<Record<string, number | string>>;
  readonly metrics: Readonly<Record<string, number>>;
  readonly trainer: string;
  /** What was told after the lease was lost; null when nothing was. */
  readonly late_metrics: Readonly<Record<string, number>> | null;
}

const storedResults = `
  select s.name as study, t.number, a.attempt, a.token, a.outcome, t.attempt as last_attempt, t.state, t.params, t.metrics,
    s.definition ->> 'trainer' as trainer, l.metrics as late_metrics
  from parzen.trial_attempts a join parzen.trials t using (study_id, number) join parzen.studies s on s.id = a.study_id
    left join parzen.late_results l on l.token = a.token`;

export async function audit(
  database: ClientConfig,
  journal: readonly JournalEntry[],
  enqueued: readonly Enqueued[],
): Promise<Audit> {
  const stored = (await run(database, storedResults)) as unknown as readonly StoredResult[];
  const byToken = new Map(stored.map((result) => [result.token, result]));
  const problems = [...(await violations(database, { ...always, ...atTheEnd }))];
  const acknowledged = new Map<string, JournalEntry>();
  const lost = new Set<string>();
  for (const entry of journal) {
    if (entry.answer !== 'lease-lost') acknowledged.set(entry.token, entry);
    const difference = differenceOf(entry, byToken.get(entry.token));
    if (difference === null) continue;
    lost.add(entry.token);
    problems.push(`lost: ${difference}: ${JSON.stringify(entry)}`);
  }
  const perTrial = new Map<string, number>();
  for (const { study, trial, outcome } of acknowledged.values())
    if (outcome === 'done') perTrial.set(`${study} ${trial}`, (perTrial.get(`${study} ${trial}`) ?? 0) + 1);
  const duplicated = [...perTrial].filter(([, count]) => count > 1);
  for (const [trial, count] of duplicated)
    problems.push(`duplicated: ${count} results of trial ${trial} were acknowledged`);
  problems.push(...wrongMetrics(stored), ...(await wrongEnqueued(database, enqueued)));
  const [counts] = await run(
    database,
    `select (select count(*) from parzen.trials where finish_sequence is not null)::int as finished,
       (select coalesce(sum(trials_max), 0) from parzen.studies)::int as budget, (select count(*) from parzen.studies)::int as studies,
       (select count(*) from parzen.late_results)::int as late`,
  );
  const verified = await verifyAll(database);
  const figures = counts as Record<'finished' | 'budget' | 'studies' | 'late', number>;
  return {
    ...{
      acknowledged: acknowledged.size,
      lost: lost.size,
      duplicated: duplicated.length,
      attempts: stored.length,
    },
    ...{ ...figures, suggestions: verified.suggestions, problems: [...problems, ...verified.problems] },
  };
}

/** Why the database does not hold what the worker was told it holds; null when it does. */
function differenceOf(entry: JournalEntry, stored: StoredResult | undefined): string | null {
  if (stored === undefined) return 'the database does not know the lease';
  if (stored.study !== entry.study || stored.number !== entry.trial || stored.attempt !== entry.attempt)
    return 'the lease belongs to another attempt';
  if (entry.answer === 'lease-lost')
    return stored.late_metrics !== null && same(stored.late_metrics, entry.metrics)
      ? null
      : 'a late result was not kept as evidence as it was told';
  const outcome = { done: 'finished', stopped: 'pruner' }[entry.outcome] ?? entry.outcome;
  if (stored.outcome !== outcome) return `its attempt ended as ${stored.outcome ?? 'nothing'}`;
  if (entry.outcome !== 'done') return null;
  if (stored.state !== 'COMPLETE' || stored.last_attempt !== entry.attempt)
    return `the trial is ${stored.state}`;
  return same(stored.metrics, entry.metrics) ? null : 'the metrics differ';
}

const same = (one: Readonly<Record<string, number>>, other: Readonly<Record<string, number>>): boolean =>
  Object.keys({ ...one, ...other }).every((name) => one[name] === other[name]);

/**
 * The trainer's answer is a function of the parameters, so a result under a wrong trial shows; that of a straggler is one
 * of its lease, so a result under a wrong lease does.
 */
const wrongMetrics = (stored: readonly StoredResult[]): readonly string[] =>
  stored
    .filter(({ outcome, state, trainer, token, params, metrics }) => {
      if (outcome !== 'finished' || state !== 'COMPLETE') return false;
      return !same(trainer === stragglersTrainer ? metricsOfLease(token) : instantMetrics(params), metrics);
    })
    .map(
      ({ study, number }) =>
        `trial ${number} of ${study} has the metrics of other parameters or another lease`,
    );

async function wrongEnqueued(
  database: ClientConfig,
  enqueued: readonly Enqueued[],
): Promise<readonly string[]> {
  const rows = await run(
    database,
    `select s.name as study, t.number, coalesce(t.params, t.given) -> 'x' as x, t.enqueue_request_id as request
     from parzen.trials t join parzen.studies s on s.id = t.study_id where t.enqueue_request_id is not null`,
  );
  return enqueued
    .filter(
      ({ study, number, x }) =>
        !rows.some((row) => row['study'] === study && row['number'] === number && row['x'] === x),
    )
    .map((trial) => `lost: an enqueued trial is missing: ${JSON.stringify(trial)}`);
}

/** `coordinator verify` of every study. */
async function verifyAll(
  database: ClientConfig,
): Promise<{ readonly suggestions: number; readonly problems: readonly string[] }> {
  const storage = await openPostgres({ connection: database, log: silentLog });
  const problems: string[] = [];
  let suggestions = 0;
  try {
    const { gateway } = await openContext(storage, silentLog, { serves: null });
    for (const { name } of await gateway.list()) {
      const verified = await gateway.verify(name);
      suggestions += verified.suggestions;
      if (verified.difference !== null)
        problems.push(`verify ${name}: ${JSON.stringify(verified.difference)}`);
    }
  } finally {
    await storage.close();
  }
  return { suggestions, problems };
}
