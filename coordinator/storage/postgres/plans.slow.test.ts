/**
 * How the statements of transactions and of leases find their rows. Each connection plans a statement once, maybe while the
 * tables are still empty, and keeps that plan while they grow; nobody can be trusted to analyse them in between. So each
 * plan must reach its rows through an index that leads to them and to no others: counted, in rows and pages, in a study of
 * thousands of trials with plans made before the first of them.
 */
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { trialNumber } from '../../../shared/core/ids.js';
import { silentLog } from '../../../shared/platform/log.js';
import { created, t0 } from '../../../test/contract/storage-fixtures.js';
import { run, startTestPostgres, type TestPostgres } from '../../../test/helpers/postgres.js';
import type { TrialRecord } from '../port.js';
import { openPostgres } from './open-postgres.js';
import { indexPlans } from './pools.js';
import { encodeOrigin, encodeOutcome } from './rows.js';
import * as attempts from './statements/attempts.js';
import * as leases from './statements/leases.js';
import type { Statement } from './statements/statement.js';
import * as studies from './statements/studies.js';
import * as trials from './statements/trials.js';

let server: TestPostgres;
beforeAll(async () => {
  server = await startTestPostgres();
});
afterAll(() => server.stop());

/** Trials of the study: every tenth of the last hundred waits, another tenth of them runs, all others are finished. */
const size = 5_000;
const group = Array.from({ length: 10 }, (_, index) => size - 100 + 10 * index);
const runningOf = (index: number): number => (group[index] ?? 0) + 1;

/** Pages that finding one row may touch: the index from its root down, versions of the row, what the row points to. */
const pagesPerRow = 16;
/** Rows looked at in vain, at most. */
const vainMax = 2 * group.length;

/** Trials, their attempts, and a second study beside; nothing is analysed. */
const fill = `
insert into parzen.trials
  (study_id, number, state, reason, params, off_grid, objective_values, metrics, attempt, retries_error, retries_timeout,
   retries_lost, lease_token, lease_expires_at_ms, lease_worker, message, enqueue_request_id, cancel_requested,
   created_at_ms, started_at_ms, finished_at_ms, finish_sequence)
select study, number, state, case state when 'COMPLETE' then 'finished' end, '{"x": 0.5, "kind": "a"}', false, '{}', '{}', 1, 0, 0,
  0, case state when 'RUNNING' then study || '.token-' || number end, case state when 'RUNNING' then ${t0} end,
  case state when 'RUNNING' then 'worker' end, '', 'enqueue-' || number, false, ${t0}, ${t0},
  case state when 'COMPLETE' then ${t0} end, case state when 'COMPLETE' then number + 1 end
from generate_series(1, 2) study, generate_series(0, ${size} - 1) number,
  lateral (select case when number < ${size} - 100 or number % 10 > 1 then 'COMPLETE' when number % 10 = 0 then 'WAITING'
    else 'RUNNING' end as state) given;
insert into parzen.trial_attempts (study_id, number, attempt, token, request_id, worker, started_at_ms, message)
select study_id, number, 1, study_id || '.token-' || number, study_id || '.request-' || number, 'worker', 1, ''
from parzen.trials`;

interface Node {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Join Filter'?: number;
  readonly 'Rows Removed by Index Recheck'?: number;
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
  readonly Plans?: readonly Node[];
}

const nodes = (node: Node): readonly Node[] => [node, ...(node.Plans ?? []).flatMap(nodes)];
const isBig = ({ 'Relation Name': relation = '' }: Node): boolean =>
  ['trials', 'trial_attempts'].includes(relation);

/** What is wrong with how a plan went; empty when nothing is. */
function faults(plan: Node): readonly string[] {
  return nodes(plan).flatMap((node) => {
    const loops = node['Actual Loops'];
    const vain =
      loops *
      ((node['Rows Removed by Filter'] ?? 0) +
        (node['Rows Removed by Join Filter'] ?? 0) +
        (node['Rows Removed by Index Recheck'] ?? 0));
    const pages = node['Shared Hit Blocks'] + node['Shared Read Blocks'];
    const scans = isBig(node) && node['Node Type'].includes('Scan');
    const where = `${node['Node Type']} ${node['Relation Name'] ?? ''}`;
    return [
      ...(scans && node['Node Type'] === 'Seq Scan' ? [`${where}: reads the whole table`] : []),
      ...(vain > vainMax ? [`${where}: ${vain} rows in vain`] : []),
      ...(scans && loops * node['Actual Rows'] > 2 * group.length
        ? [`${where}: ${loops * node['Actual Rows']} rows`]
        : []),
      ...(scans && pages > pagesPerRow * group.length ? [`${where}: ${pages} pages`] : []),
    ];
  });
}

type Call = readonly [statement: Statement, values: readonly unknown[], empty: readonly unknown[]];

/** Every statement that runs once per call or per group of calls, with what a group of ten asks of it. */
function calls(study: number, records: readonly TrialRecord[]): readonly Call[] {
  const tokens = group.map((_, index) => `${study}.token-${runningOf(index)}`);
  const requests = group.map((_, index) => `${study}.request-${runningOf(index)}`);
  const waiting = records.filter(({ state }) => state === 'WAITING');
  const outcomes = waiting.map((trial) => ({ number: trial.number, ...encodeOutcome(trial) }));
  const whole = waiting.map((trial) => ({
    ...encodeOrigin(trial),
    number: trial.number,
    ...encodeOutcome(trial),
  }));
  const fresh = whole.map((row, index) => ({ ...row, number: size + index, enqueue_request_id: null }));
  const made = fresh.map(({ number }) => ({
    ...{ number, attempt: 1, token: `${study}.new-${number}`, request_id: `new-${number}`, worker: 'worker' },
    ...{ started_at_ms: 1, message: '' },
  }));
  const ended = tokens.map((token) => ({ token, ended_at_ms: 5, outcome: 'error', message: '' }));
  const rows = (list: readonly object[]): readonly unknown[] => [study, JSON.stringify(list)];
  const none = rows([]);
  return [
    [studies.lockStudy, [study], [study]],
    [studies.updateStudy, [study, 'RUNNING', 9_000, size, 1, 1, 1], [study, 'RUNNING', 9_000, 0, 0, 0, 0]],
    [attempts.leasesByRequests, [requests], [[]]],
    [leases.findLease, [tokens[0]], ['']],
    [leases.expiredLeases, [t0, 10], [0, 10]],
    [attempts.attemptsByTokens, [study, tokens], [study, []]],
    [trials.lockLeased, [study, tokens], [study, []]],
    [trials.lockTrial, [study, group[0]], [study, 0]],
    [trials.trialByEnqueueRequest, [study, 'enqueue-7'], [study, '']],
    [trials.waitingTrials, [study], [study]],
    [trials.runningTrials, [study], [study]],
    [trials.runningParams, [study], [study]],
    [trials.finishedAfter, [study, size - 20, 10], [study, 0, 10]],
    [trials.insertTrials, rows(fresh), none],
    [trials.updateTrials, rows(whole), none],
    [trials.updateOutcomes, rows(outcomes), none],
    [attempts.insertAttempts, rows(made.map((row) => ({ ...row, number: group[0] }))), none],
    [attempts.endAttempts, rows(ended), none],
    [
      attempts.insertLateResult,
      [study, group[0], `${study}.late`, 'worker', 1, 'error', '{}', ''],
      [study, 0, '', '', 0, '', '{}', ''],
    ],
    [leases.storeReport, [tokens[0], 1, '{}', t0], ['', 0, '{}', 0]],
    [leases.extendFreeLeases, [tokens, t0], [[], 0]],
    [leases.extendLease, [tokens[0], t0], ['', 0]],
  ];
}

/** A value as SQL text, for `execute`, which takes no parameters. */
const literal = (value: unknown): string => {
  if (typeof value === 'number') return String(value);
  if (Array.isArray(value)) return `array[${value.map(literal).join(', ')}]::text[]`;
  return pg.escapeLiteral(String(value));
};

it('leads to the rows and to no others, with plans made while the tables were empty', async () => {
  const database = await server.freshDatabase();
  const storage = await openPostgres({ connection: database, log: silentLog });
  const study = await created(storage);
  await created(storage, 'beside');
  const client = new pg.Client(database);
  await client.connect();
  try {
    for (const table of ['trials', 'trial_attempts'])
      await client.query(`alter table parzen.${table} set (autovacuum_enabled = false)`);
    for (const [name, value] of Object.entries(indexPlans)) await client.query(`set ${name} = ${value}`);
    for (const [statement, , empty] of calls(study.id, [])) {
      await client.query(`prepare ${statement.name} as ${statement.text}`);
      await client.query(`explain execute ${statement.name} (${empty.map(literal).join(', ')})`);
    }
    await run(database, fill);
    const records = await storage.listTrials(study.id, {
      fromNumber: trialNumber(group[0] ?? 0),
      limit: 100,
    });

    const found: Record<string, readonly string[]> = {};
    for (const [{ name }, values] of calls(study.id, records)) {
      await client.query('begin');
      const { rows } = await client.query<{ 'QUERY PLAN': readonly { Plan: Node }[] }>(
        `explain (analyze, buffers, timing off, format json) execute ${name} (${values.map(literal).join(', ')})`,
      );
      await client.query('rollback');
      const plan = rows[0]?.['QUERY PLAN'][0]?.Plan;
      if (plan === undefined) throw new Error(`no plan of ${name}`);
      const wrong = faults(plan);
      if (wrong.length > 0) found[name] = wrong;
    }
    expect(found).toEqual({});
  } finally {
    await client.end();
    await storage.close();
  }
}, 60_000);
