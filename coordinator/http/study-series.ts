/**
 * The series that there are per study: they exist from 0 as soon as a study is seen, and go away with it. So many studies at
 * most have series; whatever the rest do is not counted, only how many they are.
 */
import { finishedEndings, requeueReasons } from '../../shared/core/study/endings.js';
import { trialReasons } from '../../shared/core/study/trial.js';
import { removeSeries, startAtZero, type Instruments } from '../../shared/platform/metrics.js';
import { studyMetricKeys, type coordinatorMetrics } from '../metrics.js';

export class StudySeries {
  readonly #metrics: Instruments<typeof coordinatorMetrics>;
  readonly #max: number;
  readonly #shown = new Set<string>();

  constructor(metrics: Instruments<typeof coordinatorMetrics>, max: number) {
    this.#metrics = metrics;
    this.#max = max;
  }

  get shown(): readonly string[] {
    return [...this.#shown];
  }

  /** Makes the study's series exist. False when there are too many studies already. */
  show(study: string): boolean {
    if (this.#shown.has(study)) return true;
    if (this.#shown.size >= this.#max) return false;
    this.#shown.add(study);
    const { trialsFinished, attemptsEnded, trialsRequeued, trialDuration } = this.#metrics;
    startAtZero(
      trialsFinished,
      finishedEndings.map(({ state, reason }) => ({ study, state, reason })),
    );
    startAtZero(
      attemptsEnded,
      trialReasons.map((reason) => ({ study, reason })),
    );
    startAtZero(
      trialsRequeued,
      requeueReasons.map((reason) => ({ study, reason })),
    );
    const { trialReports, lateResults, assignmentsWithheld } = this.#metrics;
    for (const metric of [trialReports, lateResults, assignmentsWithheld, trialDuration])
      startAtZero(metric, [{ study }]);
    return true;
  }

  /** Takes away everything about a study. */
  async hide(study: string): Promise<void> {
    this.#shown.delete(study);
    const metrics = studyMetricKeys.map((key) => this.#metrics[key]);
    await removeSeries(metrics, 'study', study);
  }
}
