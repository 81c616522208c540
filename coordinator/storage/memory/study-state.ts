import type { LeaseToken, RequestId, TrialNumber } from '../../../shared/core/ids.js';
import type { ArtifactName } from '../../../shared/core/study/artifact.js';
import { isFinished } from '../../../shared/core/study/transition.js';
import type {
  AttemptRecord,
  LateResult,
  StoredArtifact,
  StudyRecord,
  TrialRecord,
  TrialReport,
} from '../port.js';

interface AttemptReports {
  readonly attempt: number;
  readonly byStep: Map<number, TrialReport>;
}

/** The committed state of one study, with the indexes that PostgreSQL would have. All records in it are frozen. */
export class StudyState {
  record: StudyRecord;
  /** By number; numbers have no gaps. */
  readonly trials: TrialRecord[] = [];
  readonly waiting = new Set<TrialNumber>();
  readonly running = new Set<TrialNumber>();
  /** Numbers by finish sequence, which starts at 1 and has no gaps. */
  readonly finished: TrialNumber[] = [];
  readonly attempts = new Map<LeaseToken, AttemptRecord>();
  readonly tokenByRequest = new Map<RequestId, LeaseToken>();
  /** By token, in the order in which they came. */
  readonly lateResults = new Map<LeaseToken, LateResult>();
  readonly numberByEnqueueRequest = new Map<RequestId, TrialNumber>();
  readonly #reports = new Map<TrialNumber, AttemptReports>();
  readonly #artifacts = new Map<string, StoredArtifact>();

  constructor(record: StudyRecord) {
    this.record = record;
  }

  putTrial(trial: TrialRecord): void {
    const { number, state, enqueueRequestId } = trial;
    this.trials[number] = trial;
    if (enqueueRequestId !== null) this.numberByEnqueueRequest.set(enqueueRequestId, number);
    this.waiting.delete(number);
    this.running.delete(number);
    if (state === 'WAITING') this.waiting.add(number);
    if (state === 'RUNNING') this.running.add(number);
    if (isFinished(state)) this.finished.push(number);
  }

  putAttempt(attempt: AttemptRecord): void {
    this.attempts.set(attempt.token, attempt);
    this.tokenByRequest.set(attempt.requestId, attempt.token);
  }

  putReport(trial: TrialRecord, report: TrialReport): void {
    const known = this.#reports.get(trial.number);
    const reports =
      known?.attempt === trial.attempt
        ? known
        : { attempt: trial.attempt, byStep: new Map<number, TrialReport>() };
    this.#reports.set(trial.number, reports);
    reports.byStep.set(report.step, report);
  }

  /** Reports of the trial's latest attempt, by step. */
  reports(number: TrialNumber): readonly TrialReport[] {
    const reports = this.#reports.get(number);
    if (reports === undefined || reports.attempt !== this.trials[number]?.attempt) return [];
    return [...reports.byStep.values()].sort((left, right) => left.step - right.step);
  }

  putArtifact({ number }: TrialRecord, artifact: StoredArtifact): void {
    const content = Uint8Array.from(artifact.content);
    this.#artifacts.set(`${number} ${artifact.name}`, Object.freeze({ ...artifact, content }));
  }

  artifact(number: TrialNumber, name: ArtifactName): StoredArtifact | null {
    return this.#artifacts.get(`${number} ${name}`) ?? null;
  }

  /** The running trial that holds this lease. */
  leaseHolder(token: LeaseToken): TrialRecord | null {
    for (const number of this.running) {
      const trial = this.trials[number];
      if (trial?.lease?.token === token) return trial;
    }
    return null;
  }
}
