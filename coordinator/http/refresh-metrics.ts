/**
 * Keeps the metrics that come from the database fresh: one read of the whole store now and then, never when Prometheus asks.
 * Every replica does it and shows the same. One that cannot keeps its values for a minute and then takes them away: a stale
 * value must not outlive the truth at the others.
 */
import type { StudyId } from '../../shared/core/ids.js';
import { trialsRemaining } from '../../shared/core/study/remaining.js';
import { studyStates } from '../../shared/core/study/study.js';
import { trialStates, type TrialState } from '../../shared/core/study/trial.js';
import type { Clock } from '../../shared/platform/clock.js';
import type { Log } from '../../shared/platform/log.js';
import { StorageUnavailable, type Overview, type Storage, type StudyOverview } from '../storage/port.js';
import type { CoordinatorMetrics } from './coordinator-metrics.js';
import { ObjectiveSoFar } from './objective-so-far.js';

export interface RefreshOptions {
  readonly metrics: CoordinatorMetrics;
  readonly storage: Pick<Storage, 'overview'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Uniform on [0, 1); spreads the replicas. */
  readonly random: () => number;
  /** Between two reads, ms. */
  readonly intervalMs: number;
  /** Values older than this are taken away, ms. */
  readonly staleMs: number;
  /** A study that is over is shown for so long, ms. */
  readonly finishedShownMs: number;
  /** A worker that is gone is counted as lost for so long, ms, … */
  readonly workerMemoryMs: number;
  /** … from this long after its last sign of life, ms. */
  readonly leaseTtlMs: number;
  readonly studiesMax: number;
}

/**
 * Reads again and again until `over` aborts; a read that fails, for whatever reason, is made again. The one place that writes
 * metrics of the database.
 */
export async function keepMetricsFresh(options: RefreshOptions, over: AbortSignal): Promise<void> {
  const { clock, log, intervalMs, staleMs, random } = options;
  const shown = new DatabaseMetrics(options);
  let readAtMs = clock.nowMs();
  let warnedOf: string | null = null;
  while (!over.aborted) {
    try {
      await shown.refresh();
      readAtMs = clock.nowMs();
      warnedOf = null;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (error instanceof StorageUnavailable)
        log.debug({ reason }, 'the store is away; metrics are not refreshed');
      else if (reason !== warnedOf) {
        log.warn({ err: error }, 'metrics could not be refreshed; trying on');
        warnedOf = reason;
      }
      if (clock.nowMs() - readAtMs >= staleMs) shown.clear();
    }
    await clock.sleep(intervalMs * (0.9 + 0.2 * random()), over);
  }
}

/** What is known of a study's finished trials; the next look asks only for what is new. */
interface StudySoFar {
  readonly name: string;
  finishSequence: number;
  readonly finished: Partial<Record<TrialState, number>>;
  readonly objectives: readonly ObjectiveSoFar[];
}

export class DatabaseMetrics {
  readonly #options: RefreshOptions;
  readonly #soFar = new Map<StudyId, StudySoFar>();

  constructor(options: RefreshOptions) {
    this.#options = options;
  }

  /** Reads the store and shows what it says. Throws `StorageUnavailable`. */
  async refresh(): Promise<void> {
    const { metrics, storage, clock, studiesMax } = this.#options;
    const { finishedShownMs, workerMemoryMs, leaseTtlMs } = this.#options;
    const shownBefore = metrics.studies.shown;
    const nowMs = clock.nowMs();
    const overview = await storage.overview({
      ...{ nowMs, studiesMax, finishedSinceMs: nowMs - finishedShownMs },
      ...{ workersSinceMs: nowMs - workerMemoryMs, aliveSinceMs: nowMs - leaseTtlMs },
      known: new Map([...this.#soFar].map(([id, { finishSequence }]) => [id, finishSequence])),
    });
    const { lastRefresh, studiesOmitted } = metrics.instruments;
    lastRefresh.set(nowMs / 1_000);
    studiesOmitted.set(overview.studiesOmitted);
    await this.#letGo(overview, shownBefore);
    this.#showService(overview);
    for (const study of overview.studies) this.#showStudy(study);
  }

  /** Takes away all that comes from the database; how old it is stays visible. */
  clear(): void {
    const { studyInfo, trials, trialsTarget, trialsRemaining: remaining } = this.#options.metrics.instruments;
    const { bestValue, bestValueLuck, bestValueTimestamp, workers } = this.#options.metrics.instruments;
    for (const metric of [studyInfo, trials, trialsTarget, remaining, workers]) metric.reset();
    for (const metric of [bestValue, bestValueLuck, bestValueTimestamp]) metric.reset();
    // `reset` would set a gauge without labels to 0, which reads as healthy.
    this.#options.metrics.instruments.leaseOverdue.remove();
  }

  /** Studies that are over for long, deleted (also when another has the name now), or too many. Not those that were created while the store was read. */
  async #letGo({ studies }: Overview, shownBefore: readonly string[]): Promise<void> {
    const names = new Set(studies.map(({ name }) => name));
    const ids = new Set(studies.map(({ id }) => id));
    for (const id of this.#soFar.keys()) if (!ids.has(id)) this.#soFar.delete(id);
    const { metrics } = this.#options;
    for (const name of shownBefore) if (!names.has(name)) await metrics.forget(name);
    for (const { id, name } of studies) if (metrics.hadAnother(id, name)) await metrics.forget(name);
  }

  #showService({ leaseOverdueMs, workers }: Overview): void {
    const metrics = this.#options.metrics.instruments;
    metrics.leaseOverdue.set(leaseOverdueMs / 1_000);
    for (const [state, count] of Object.entries(workers)) metrics.workers.set({ state }, count);
  }

  #showStudy(overview: StudyOverview): void {
    const { metrics } = this.#options;
    const { id, name: study, state, sampler, trialsMax, waiting, running } = overview;
    if (!metrics.see(id, study)) return;
    const { finished, objectives } = this.#take(overview);
    const { studyInfo, trials, trialsTarget, trialsRemaining: remaining } = metrics.instruments;
    for (const other of studyStates) if (other !== state) studyInfo.remove({ study, state: other, sampler });
    studyInfo.set({ study, state, sampler }, 1);
    for (const each of trialStates) trials.set({ study, state: each }, finished[each] ?? 0);
    trials.set({ study, state: 'WAITING' }, waiting);
    trials.set({ study, state: 'RUNNING' }, running);
    trialsTarget.set({ study }, trialsMax);
    remaining.set({ study }, trialsRemaining(overview));
    const { bestValue, bestValueLuck, bestValueTimestamp } = metrics.instruments;
    for (const each of objectives) {
      const labels = { study, objective: each.name };
      const { best } = each;
      const luck = each.luck();
      if (best === null) continue;
      bestValue.set(labels, best.value);
      bestValueTimestamp.set(labels, best.atMs / 1_000);
      if (luck === null) bestValueLuck.remove(labels);
      else bestValueLuck.set(labels, luck);
    }
  }

  #take({ id, name, finishSequence, finished, objectives, values }: StudyOverview): StudySoFar {
    const soFar = this.#soFar.get(id) ?? {
      ...{ name, finishSequence: 0, finished: {} },
      objectives: objectives.map((objective) => new ObjectiveSoFar(objective)),
    };
    this.#soFar.set(id, soFar);
    soFar.finishSequence = finishSequence;
    for (const state of trialStates)
      soFar.finished[state] = (soFar.finished[state] ?? 0) + (finished[state] ?? 0);
    for (const value of values) soFar.objectives[value.objective]?.add(value);
    return soFar;
  }
}
