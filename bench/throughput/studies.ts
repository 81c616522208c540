/** Studies to measure on: the V6 space, random or TPE, with a history that is written by SQL. */
import { createHash } from 'node:crypto';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import type { FinishedTrial } from '../../shared/core/sampler/sampler.js';
import { openStorage } from '../../coordinator/storage/open-storage.js';
import { silentLog } from '../../shared/platform/log.js';
import { v6Score, v6Settings, v6Space } from '../sampler-study.js';
import { withClient, type Store } from './stores.js';

export type SamplerName = 'random' | 'tpe';

const definitionOf = (name: string, sampler: SamplerName, trials: number): StudyDefinition => ({
  name,
  objectives: [{ name: 'score', direction: 'maximize', weights: { auc: 0.7, dir_acc: 0.3 } }],
  trials,
  sampler: sampler === 'random' ? { type: 'random', seed: 42 } : { ...v6Settings, startupTrials: 10 },
  space: v6Space,
  fixed: { use_lstm: true, prob_source: 'pdf', batch_size: 512, steps: 50 },
  enqueue: [],
  trainer: 'no-op',
  data: { kind: 'none' },
  evaluation: { profile: 'honest' },
  failure: {
    oom: 'retry-bigger-gpu',
    diverged: 'value',
    divergedValue: 0,
    errorRetriesMax: 1,
    timeoutRetriesMax: 1,
    lostRetriesMax: 5,
    stallTimeoutSeconds: 900,
    trialTimeoutSeconds: 14_400,
  },
});

export interface StudyPlan {
  readonly name: string;
  readonly sampler: SamplerName;
  /** Trials that are finished already. */
  readonly history: readonly FinishedTrial[];
  /** Budget; practically none by default. */
  readonly trials?: number;
}

/** Creates a study whose first trials are finished already. Nobody else may have the store open. */
export async function prepareStudy(
  store: Store,
  { name, sampler, history, trials = 10_000_000 }: StudyPlan,
): Promise<void> {
  const storage = await openStorage(store.location, { log: silentLog });
  try {
    const definition = definitionOf(name, sampler, trials);
    const definitionText = JSON.stringify(definition);
    const definitionHash = createHash('sha256').update(definitionText).digest('hex');
    const study = { definition, definitionText, definitionHash, dataset: null, createdAtMs: Date.now() };
    if ((await storage.createStudy(study)) === null) throw new Error(`study ${name} exists`);
    await fill(store, name, history);
  } finally {
    await storage.close();
  }
}

/** Trials per statement. */
const batch = 2_000;

/** Writes finished trials, each with one attempt, and moves the study on. */
async function fill(store: Store, name: string, history: readonly FinishedTrial[]): Promise<void> {
  await withClient(store, async (client) => {
    await client.query('begin');
    for (let from = 0; from < history.length; from += batch) {
      const rows = history.slice(from, from + batch).map(({ params }, index) => {
        const score = v6Score(params);
        return { number: from + index, params, values: [score], metrics: { auc: score, dir_acc: score } };
      });
      await client.query(fillTrials, [name, JSON.stringify(rows)]);
    }
    await client.query(fillAttempts, [name]);
    await client.query('update parzen.studies set next_number = $2, finish_sequence = $2 where name = $1', [
      name,
      history.length,
    ]);
    await client.query('commit');
  });
}

const fillTrials = `
insert into parzen.trials
  (study_id, number, state, reason, params, off_grid, objective_values, metrics, attempt, retries_error, retries_timeout,
   retries_lost, watermark_finish_sequence, watermark_running, worker, message, cancel_requested, created_at_ms,
   started_at_ms, finished_at_ms, finish_sequence)
select study.id, row.number, 'COMPLETE', 'finished', row.params, false, row.values, row.metrics, 1, 0, 0,
  0, row.number, '{}', 'bench', '', false, 1, 1, 2, row.number + 1
from parzen.studies study,
  jsonb_to_recordset($2) as row (number integer, params jsonb, values double precision[], metrics jsonb)
where study.name = $1`;

const fillAttempts = `
insert into parzen.trial_attempts
  (token, request_id, study_id, number, attempt, worker, started_at_ms, ended_at_ms, outcome, message)
select 'fill-' || study.id || '-' || number, 'fill-' || study.id || '-' || number, study.id, number, 1, 'bench', 1, 2,
  'finished', ''
from parzen.studies study join parzen.trials trial on trial.study_id = study.id where study.name = $1`;
