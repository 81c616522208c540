import type { PoolClient } from 'pg';
import { studyId, type StudyId } from '../../../shared/core/ids.js';
import type { SamplerSettings } from '../../../shared/core/sampler/sampler.js';
import type { Objective } from '../../../shared/core/study/definition.js';
import type { TrialState } from '../../../shared/core/study/trial.js';
import type { ObjectiveOverview, Overview, OverviewRequest, StudyOverview, StudyState } from '../port.js';
import type { Database } from './database.js';
import { query } from './query.js';
import * as statements from './statements/overview.js';

/** Longest run of one statement of an overview, ms: it is made again and again, and must never pile up. */
const timeoutMs = 5_000;

interface StudyRow {
  readonly id: number;
  readonly name: string;
  readonly state: StudyState;
  readonly sampler: SamplerSettings['type'];
  readonly objectives: readonly Objective[];
  readonly trials_max: number;
  readonly next_number: number;
  readonly finish_sequence: number;
  readonly waiting: number;
  readonly running: number;
  readonly studies: number;
}

interface FinishedRow {
  readonly study_id: number;
  readonly state: TrialState;
  readonly trials: number;
}

interface ValuesRow extends Omit<ObjectiveOverview, 'bestAtMs'> {
  readonly study_id: number;
  readonly best_at_ms: number;
}

/** `Storage.overview`: all reads see the same moment. */
export function readOverview(database: Database, request: OverviewRequest): Promise<Overview> {
  return database.transaction(async (client) => {
    await client.query('set transaction isolation level repeatable read, read only');
    await client.query(`set local statement_timeout = ${timeoutMs}`);
    const rows = await query<StudyRow>(client, statements.overviewStudies, [
      Math.floor(request.finishedSinceMs),
      request.studiesMax,
    ]);
    const studies = await withFinished(client, rows, request.known);
    const [leases] = await query<{ oldest: number | null }>(client, statements.overviewLeases);
    const workers = await query<{ state: keyof Overview['workers']; workers: number }>(
      client,
      statements.overviewWorkers,
      [Math.floor(request.workersSinceMs), Math.floor(request.aliveSinceMs)],
    );
    const counted = Object.fromEntries(workers.map((row) => [row.state, row.workers]));
    return {
      studies,
      studiesOmitted: (rows[0]?.studies ?? 0) - rows.length,
      leaseOverdueMs: Math.max(0, request.nowMs - (leases?.oldest ?? request.nowMs)),
      workers: { idle: 0, busy: 0, draining: 0, lost: 0, ...counted },
    };
  });
}

async function withFinished(
  client: PoolClient,
  rows: readonly StudyRow[],
  known: ReadonlyMap<StudyId, number>,
): Promise<readonly StudyOverview[]> {
  const since = rows.map(({ id }) => known.get(studyId(id)) ?? 0);
  const ids = rows.map(({ id }) => id);
  const maximised = rows.map(({ objectives }) =>
    objectives.flatMap(({ direction }, index) => (direction === 'maximize' ? [index] : [])).join(','),
  );
  const finished = await query<FinishedRow>(client, statements.overviewFinished, [ids, since]);
  const values = await query<ValuesRow>(client, statements.overviewValues, [ids, since, maximised]);
  return rows.map((row) => ({
    id: studyId(row.id),
    ...{ name: row.name, state: row.state, sampler: row.sampler, waiting: row.waiting, running: row.running },
    objectives: row.objectives.map(({ name, direction }) => ({ name, direction })),
    ...{ trialsMax: row.trials_max, nextNumber: row.next_number, finishSequence: row.finish_sequence },
    finished: Object.fromEntries(
      finished.filter(({ study_id: id }) => id === row.id).map(({ state, trials }) => [state, trials]),
    ),
    values: values
      .filter(({ study_id: id }) => id === row.id)
      .map(({ objective, best, best_at_ms: bestAtMs, count, mean, squares }) => ({
        ...{ objective, best, bestAtMs, count, mean, squares },
      })),
  }));
}
