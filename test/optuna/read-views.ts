/**
 * Reads a study from the views as Optuna's storage class does, as strictly: for machines without Python, and to say which
 * row is wrong.
 */
import pg, { type ClientConfig } from 'pg';
import { optunaReader } from '../../coordinator/storage/postgres/optuna-reader.js';
import type { OptunaTrial } from './every-kind-of-trial.js';

type Row = Readonly<Record<string, unknown>>;

interface Distribution {
  readonly name: string;
  readonly attributes: { readonly choices: readonly unknown[] };
}

export interface OptunaStudy {
  readonly directions: readonly string[];
  readonly userAttrs: Readonly<Record<string, unknown>>;
  readonly systemAttrs: Readonly<Record<string, unknown>>;
  readonly distributions: Readonly<Record<string, unknown>>;
  readonly trials: readonly OptunaTrial[];
}

/** The connection under Optuna's role, whose search path is set by the server. */
export const asReader = (connection: ClientConfig): ClientConfig => ({ ...connection, user: optunaReader });

export async function readViews(connection: ClientConfig, study: string): Promise<OptunaStudy> {
  const client = new pg.Client(asReader(connection));
  await client.connect();
  try {
    const select = async (text: string, values: readonly unknown[] = []): Promise<readonly Row[]> =>
      (await client.query<Row>(text, [...values])).rows;
    const [found] = await select('select study_id from studies where study_name = $1', [study]);
    const id: unknown = found?.['study_id'];
    const ofStudy = (view: string) => select(`select * from ${view} where study_id = $1`, [id]);
    const trials = await select(
      `select trial_id, number, state::text, extract(epoch from datetime_start) * 1000 as start_ms,
              extract(epoch from datetime_complete) * 1000 as complete_ms
       from trials where study_id = $1 order by trial_id`,
      [id],
    );
    const ids = trials.map((row) => row['trial_id']);
    const ofTrials = (view: string) =>
      select(`select *, trial_id from ${view} where trial_id = any ($1)`, [ids]);
    const [paramRows, values, steps, user, system] = [
      await ofTrials('trial_params'),
      await ofTrials('trial_values'),
      await ofTrials('trial_intermediate_values'),
      await ofTrials('trial_user_attributes'),
      await ofTrials('trial_system_attributes'),
    ];
    for (const [view, key] of Object.entries({
      trial_param: [paramRows, 'param_id'],
      trial_value: [values, 'trial_value_id'],
      step: [steps, 'trial_intermediate_value_id'],
      user: [user, 'trial_user_attribute_id'],
    } as const))
      if (new Set(key[0].map((row) => String(row[key[1]]))).size !== key[0].length)
        throw new Error(`ids of ${view} are not unique`);
    const distributions: Record<string, unknown> = {};
    return {
      directions: (await ofStudy('study_directions')).map((row) => String(row['direction'])),
      userAttrs: attributes(await ofStudy('study_user_attributes')),
      systemAttrs: attributes(await ofStudy('study_system_attributes')),
      distributions,
      trials: trials.map((trial, number) => {
        const of = (rows: readonly Row[]) => rows.filter((row) => row['trial_id'] === trial['trial_id']);
        if (trial['number'] !== number)
          throw new Error(`trial ${number} has number ${String(trial['number'])}`);
        return {
          number,
          state: String(trial['state']),
          values: valuesOf(of(values)),
          params: paramsOf(of(paramRows), distributions),
          userAttrs: attributes(of(user)),
          systemAttrs: attributes(of(system)),
          intermediate: Object.fromEntries(
            of(steps).map((row) => [
              String(row['step']),
              number64(row['intermediate_value'], row['intermediate_value_type']),
            ]),
          ),
          startMs: trial['start_ms'] === null ? null : Number(trial['start_ms']),
          completeMs: trial['complete_ms'] === null ? null : Number(trial['complete_ms']),
        };
      }),
    };
  } finally {
    await client.end();
  }
}

const attributes = (rows: readonly Row[]): Record<string, unknown> =>
  Object.fromEntries(
    rows.map((row) => {
      const text = String(row['value_json']);
      const value: unknown = ['NaN', 'Infinity', '-Infinity'].includes(text) ? text : JSON.parse(text);
      return [String(row['key']), value];
    }),
  );

const special: Readonly<Record<string, string>> = { INF_POS: 'Infinity', INF_NEG: '-Infinity', NAN: 'NaN' };

/** A number column with its type; one must fit the other. */
function number64(value: unknown, type: unknown): unknown {
  const name = special[String(type)];
  if ((type === 'FINITE') !== Number.isFinite(value) || (name !== undefined) !== (value === null))
    throw new Error(`${String(type)} goes with ${String(value)}`);
  return name ?? value;
}

function valuesOf(rows: readonly Row[]): readonly unknown[] | null {
  if (rows.length === 0) return null;
  const values: unknown[] = rows.map(() => null);
  for (const row of rows) values[Number(row['objective'])] = number64(row['value'], row['value_type']);
  if (values.includes(null)) throw new Error('an objective is missing');
  return values;
}

/** In the order of their ids. Fills in the distributions, which must be the same text in all trials. */
function paramsOf(rows: readonly Row[], distributions: Record<string, unknown>): Record<string, unknown> {
  const sorted = [...rows].sort((a, b) => Number(a['param_id']) - Number(b['param_id']));
  return Object.fromEntries(
    sorted.map((row) => {
      const name = String(row['param_name']);
      const distribution = JSON.parse(String(row['distribution_json'])) as Distribution;
      distributions[name] ??= distribution;
      if (JSON.stringify(distributions[name]) !== JSON.stringify(distribution))
        throw new Error(`distributions of ${name} differ`);
      const value: unknown = row['param_value'];
      if (typeof value !== 'number' || !Number.isFinite(value))
        throw new Error(`${name} is ${String(value)}`);
      if (distribution.name !== 'CategoricalDistribution') return [name, value];
      const choice = distribution.attributes.choices[value];
      if (choice === undefined) throw new Error(`${name} has no choice ${value}`);
      return [name, choice];
    }),
  );
}
