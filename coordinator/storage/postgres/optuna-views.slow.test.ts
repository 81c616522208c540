import pg, { type ClientConfig } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createLog, silentLog } from '../../../shared/platform/log.js';
import { completed, created, finish, leased, running } from '../../../test/contract/storage-fixtures.js';
import { run, startTestPostgres, type TestPostgres } from '../../../test/helpers/postgres.js';
import {
  distributionsSeen,
  storeEveryKind,
  storeTwoObjectives,
} from '../../../test/optuna/every-kind-of-trial.js';
import { asReader, readViews } from '../../../test/optuna/read-views.js';
import type { Storage } from '../port.js';
import { migrations } from './migrations/migrations.js';
import { migrate } from './migrate.js';
import { openPostgres } from './open-postgres.js';

let server: TestPostgres;
beforeAll(async () => {
  server = await startTestPostgres();
});
afterAll(() => server.stop());

let connection: ClientConfig;
let storage: Storage;
beforeEach(async () => {
  connection = await server.freshDatabase();
  storage = await openPostgres({ connection, log: silentLog });
  return () => storage.close();
});

const asked = (sql: string, values: readonly unknown[] = []) => run(asReader(connection), sql, values);

describe('views for Optuna', () => {
  it('show every kind of trial in a form that Optuna can read', async () => {
    const { study, trials } = await storeEveryKind(storage);
    const read = await readViews(connection, study);
    expect(read.trials).toEqual(trials);
    expect(read.distributions).toEqual(distributionsSeen);
    expect(Object.keys(read.trials[0]!.params)).toEqual(Object.keys(distributionsSeen));
    expect(read.directions).toEqual(['MAXIMIZE']);
    expect(read.systemAttrs).toEqual({});
    expect(read.userAttrs).toMatchObject({
      'parzen:state': 'RUNNING',
      'parzen:trials': 100,
      'parzen:fixed': { use_lstm: true, batch: 512 },
    });
  });

  it('show several objectives in their order, with their names', async () => {
    await storeEveryKind(storage);
    const { study, trials } = await storeTwoObjectives(storage);
    const read = await readViews(connection, study);
    expect(read.trials).toEqual(trials);
    expect(read.directions).toEqual(['MINIMIZE', 'MAXIMIZE']);
    expect(read.systemAttrs).toEqual({ 'study:metric_names': ['loss', 'speed'] });
  });

  it('show only the reports of the latest attempt, at any step', async () => {
    const study = await created(storage);
    const first = await leased(storage, study.id, 'first');
    const report = (token: string, step: number, zeta: number) =>
      storage.report(running(token).lease!.token, { step, metrics: { zeta, alpha: 0 } }, 0);
    await report('first', 0, 1);
    await storage.inStudy(study.id, (transaction) =>
      transaction.updateTrial({ ...first, ...running('second'), attempt: 2 }),
    );
    await leased(storage, study.id, 'other');
    for (const step of [-1, 2 ** 40, Number.MAX_SAFE_INTEGER]) await report('second', step, step);
    await report('other', -(2 ** 40), 1);
    const { trials } = await readViews(connection, 'demo');
    expect(trials.map(({ intermediate }) => intermediate)).toEqual([
      { '-1': -0.7, [2 ** 40]: 0.7 * 2 ** 40, [Number.MAX_SAFE_INTEGER]: 0.7 * Number.MAX_SAFE_INTEGER },
      { [-(2 ** 40)]: 0.7 },
    ]);
  });

  it('have all that Optuna looks for before it would create something', async () => {
    const relations = await asked(
      `select relname from pg_class where relnamespace = 'optuna'::regnamespace and relkind in ('r', 'v') order by 1`,
    );
    expect(relations.map(({ relname }) => relname)).toEqual([
      ...[
        'alembic_version',
        'studies',
        'study_directions',
        'study_system_attributes',
        'study_user_attributes',
      ],
      ...['trial_heartbeats', 'trial_intermediate_values', 'trial_params', 'trial_system_attributes'],
      ...['trial_user_attributes', 'trial_values', 'trials', 'version_info'],
    ]);
    expect(await asked('select version_num from alembic_version')).toEqual([{ version_num: 'v3.2.0.a' }]);
    expect(await asked('select version_info_id, schema_version from version_info')).toEqual([
      { version_info_id: 1, schema_version: 12 },
    ]);
    expect(await asked('select * from trial_heartbeats')).toEqual([]);
  });

  it('look a trial up by its id through the primary key', async () => {
    const study = await created(storage, 'demo', { trials: 3_000 });
    await run(
      connection,
      `insert into parzen.trials (study_id, number, state, params, off_grid, objective_values, metrics, attempt,
         retries_error, retries_timeout, retries_lost, message, cancel_requested, created_at_ms, finished_at_ms, finish_sequence)
       select $1, n, 'COMPLETE', '{"x": 1}', false, '{1}', '{"a": 1}', 1, 0, 0, 0, '', false, 0, 1, n + 1
       from generate_series(0, 2999) n`,
      [study.id],
    );
    await run(connection, 'analyze');
    for (const view of [
      'trials',
      'trial_params',
      'trial_values',
      'trial_user_attributes',
      'trial_system_attributes',
    ]) {
      const plan = await asked(`explain select * from ${view} where trial_id in (1, 2, 3)`);
      expect(JSON.stringify(plan)).toContain('trials_pkey');
    }
  });

  it('hold for studies that are older than the views', async () => {
    const old = await server.emptyDatabase();
    const client = new pg.Client(old);
    await client.connect();
    const views = migrations.findIndex(({ name }) => name === 'optuna-views');
    await migrate(client, migrations.slice(0, views));
    const { definition } = await created(storage);
    await client.query(
      `insert into parzen.studies
         (name, definition, definition_text, definition_hash, state, trials_max, next_number, created_at_ms)
       values ('demo', $1, '', '', 'RUNNING', 10, 1, 0)`,
      [JSON.stringify(definition)],
    );
    await client.query(
      `insert into parzen.trials (study_id, number, state, params, off_grid, objective_values, metrics, attempt,
         retries_error, retries_timeout, retries_lost, message, cancel_requested, created_at_ms, finished_at_ms, finish_sequence)
       values (1, 0, 'COMPLETE', '{"x": 0.25, "kind": 3}', false, '{1}', '{}', 1, 0, 0, 0, '', false, 0, 1, 1)`,
    );
    await client.end();
    await (await openPostgres({ connection: old, log: silentLog })).close();
    const { trials, directions } = await readViews(old, 'demo');
    expect({ params: trials[0]?.params, directions }).toEqual({
      params: { x: 0.25, kind: 3 },
      directions: ['MAXIMIZE'],
    });
  });
});

describe('the role for Optuna', () => {
  it('sees nothing but the views, and can change nothing', async () => {
    const { study } = await storeEveryKind(storage);
    const before = await readViews(connection, study);
    for (const statement of [
      'select * from parzen.trials',
      `insert into studies (study_id, study_name) values (7, 'x')`,
      `update studies set study_name = 'x'`,
      'delete from studies',
      `update trials set number = 5`,
      'delete from trials',
      `insert into trial_user_attributes (trial_id, key, value_json) values (1, 'a', '1')`,
      'delete from study_system_attributes',
      'create table mine (a integer)',
      'create view optuna.mine as select 1',
      'drop view trials',
      `insert into study_system_attributes (study_id, key, value_json) values (1, 'study:metric_names', '["x"]')`,
      `select * from parzen.dashboard_attributes`,
    ])
      await expect(asked(statement), statement).rejects.toThrow(
        /permission denied|read-only|cannot|must be owner/,
      );
    expect(await readViews(connection, study)).toEqual(before);
  });

  it("can keep optuna-dashboard's notes, which go with their study", async () => {
    const study = await created(storage);
    await storeTwoObjectives(storage);
    const insert = `insert into study_system_attributes (study_id, key, value_json) values ($1, $2, $3)
                    returning study_system_attribute_id as id`;
    const [row] = await asked(insert, [study.id, 'dashboard:note_ver', '1']);
    await asked(insert, [study.id, 'dashboard:note_str:0', '"hello"']);
    expect(Number(row?.['id'])).toBeGreaterThan(0);
    await asked('update study_system_attributes set value_json = $2 where study_system_attribute_id = $1', [
      row?.['id'],
      '2',
    ]);
    await expect(
      asked(`update study_system_attributes set value_json = '[]' where study_id <> $1`, [study.id]),
    ).rejects.toThrow(/read-only for Optuna/);
    const { systemAttrs } = await readViews(connection, 'demo');
    expect(systemAttrs).toEqual({ 'dashboard:note_ver': 2, 'dashboard:note_str:0': 'hello' });
    await finish(storage, study.id, (await leased(storage, study.id, 'a')).number, completed());
    await storage.deleteStudy(study.id);
    expect(await asked('select * from study_system_attributes where study_id = $1', [study.id])).toEqual([]);
  });

  it('is made ready again where it was not, without failing where that is not allowed', async () => {
    const owner = 'plain_owner';
    await run(connection, `create role ${owner} login`);
    const database = await server.emptyDatabase();
    await run(connection, `alter database ${database.database} owner to ${owner}`);
    await run(connection, 'alter role optuna_reader rename to optuna_reader_away');
    const lines: string[] = [];
    const log = createLog({ level: 'info', format: 'text', write: (line) => lines.push(line) });
    const asOwner = { ...database, user: owner };
    try {
      await (await openPostgres({ connection: asOwner, log })).close();
      expect(lines.join('')).toMatch(
        /administrator run "create role optuna_reader .*search_path = optuna.*permission denied/,
      );
    } finally {
      await run(connection, 'alter role optuna_reader_away rename to optuna_reader');
    }
    lines.length = 0;
    await (await openPostgres({ connection: asOwner, log })).close();
    expect(lines).toEqual([]);
    expect(await run(asReader(database), 'select * from trials')).toEqual([]);
  });

  it('leaves a schema of that name alone that is not ours', async () => {
    const database = await server.emptyDatabase();
    await run(database, `create schema optuna; create type optuna.trialstate as enum ('RUNNING')`);
    await expect(openPostgres({ connection: database, log: silentLog })).rejects.toThrow(
      /schema "optuna" holds something else/,
    );
  });
});
