/**
 * What coordinators have answered, and whether it is so. An answer that left its coordinator binds: the assignment,
 * the recorded result, the enqueued trial must be in the store from then on, and a repeated call must get the same.
 */
import { leaseToken, requestId, type StudyId, type TrialNumber } from '../../shared/core/ids.js';
import { failureReasonFromWire, paramsFromWire } from '../../shared/wire/convert.js';
import type { EnqueueTrialRequest, EnqueueTrialResponse } from '../../shared/wire/gen/parzen/v1/study.js';
import { TrialState } from '../../shared/wire/gen/parzen/v1/common.js';
import {
  LeaseAnswer,
  TellResponse_Result as TellResult,
  type AskRequest,
  type AskResponse,
  type Assignment,
  type PutArtifactRequest,
  type PutArtifactResponse,
  type ReleaseRequest,
  type ReleaseResponse,
  type TellRequest,
  type TellResponse,
} from '../../shared/wire/gen/parzen/v1/trial.js';
import type { AttemptRecord, Storage } from '../../coordinator/storage/port.js';
import { attemptOf, everyTrial, type Monitor } from './monitor.js';

/** Outcomes under which a told result may be found. A result without a usable objective is an error. */
function outcomesOf({ outcome }: TellRequest): readonly string[] {
  switch (outcome?.$case) {
    case 'completed':
      return ['finished', 'error'];
    case 'pruned':
      return ['pruner'];
    case 'failed':
      return [failureReasonFromWire(outcome.value.reason)];
    case undefined:
      return [];
  }
}

export interface PromiseCounts {
  readonly assignments: number;
  readonly results: number;
  readonly late: number;
  /** Trials that workers gave back. */
  readonly returned: number;
}

export class Promises {
  readonly #store: Storage;
  readonly #monitor: Monitor;
  readonly #tokenOfRequest = new Map<string, string>();
  readonly #requestOfToken = new Map<string, string>();
  /** Parameters by study and number, as JSON. */
  readonly #params = new Map<string, string>();
  readonly #enqueued = new Map<string, { study: string; number: number; params: string }>();
  readonly #results = new Map<string, TellRequest>();
  /** Results that trainers have brought and no coordinator has answered, by their noise. */
  readonly #untold = new Map<number, { readonly host: string; readonly running: boolean }>();
  readonly #started = new Set<string>();
  /** Files that were taken, by lease. */
  readonly #files = new Map<string, string>();
  #late = 0;
  #returned = 0;

  constructor(store: Storage, monitor: Monitor) {
    this.#store = store;
    this.#monitor = monitor;
  }

  get counts(): PromiseCounts {
    return {
      assignments: this.#requestOfToken.size,
      results: this.#results.size,
      late: this.#late,
      returned: this.#returned,
    };
  }

  /** A trainer begins an attempt. */
  started(attempt: string): void {
    this.#monitor.expect(!this.#started.has(attempt), () => `${attempt} was run twice`);
    this.#started.add(attempt);
  }

  /** A trainer has brought a result; `noise` is its metric of that name. */
  produced(noise: number, worker: { readonly host: string; readonly running: boolean }): void {
    this.#untold.set(noise, worker);
  }

  /** Long after the last fault: whoever lived on has delivered what it had. */
  checkAllTold(): void {
    for (const [noise, { host, running }] of this.#untold)
      this.#monitor.expect(!running, () => `worker ${host} lives and never told its result (noise ${noise})`);
  }

  /** An answer leaves its coordinator. */
  answered(call: string, request: unknown, response: unknown): void {
    this.#check(call, request, response).catch((error: unknown) =>
      this.#monitor.violate(`checking ${call} failed: ${String(error)}`),
    );
  }

  async #check(call: string, request: unknown, response: unknown): Promise<void> {
    switch (call) {
      case 'Ask': {
        const { outcome } = response as AskResponse;
        if (outcome?.$case === 'assignment') await this.#assigned(request as AskRequest, outcome.value);
        return;
      }
      case 'Tell':
        return this.#told(request as TellRequest, response as TellResponse);
      case 'Release':
        return this.#released(request as ReleaseRequest, response as ReleaseResponse);
      case 'PutArtifact':
        return this.#left(request as PutArtifactRequest, response as PutArtifactResponse);
      case 'EnqueueTrial':
        return this.#queued(request as EnqueueTrialRequest, response as EnqueueTrialResponse);
    }
  }

  async #assigned(ask: AskRequest, assignment: Assignment): Promise<void> {
    const { leaseToken: token, study, number } = assignment;
    const found = await attemptOf(this.#store, leaseToken(token));
    const monitor = this.#monitor;
    monitor.expect(
      ask.study === '' || ask.study === study,
      () => `${study} ${number} was given to ${ask.workerId}, which works for ${ask.study} alone`,
    );
    monitor.expect(
      found?.number === number && found.attempt.requestId === ask.requestId,
      () => `${study} ${number} was given out under ${token} for ${ask.requestId}; stored is ${text(found)}`,
    );
    const earlier = this.#tokenOfRequest.get(ask.requestId);
    monitor.expect(
      earlier === undefined || earlier === token,
      () => `request ${ask.requestId} was answered with lease ${earlier}, and then with ${token}`,
    );
    this.#tokenOfRequest.set(ask.requestId, token);
    const other = this.#requestOfToken.get(token);
    monitor.expect(
      other === undefined || other === ask.requestId,
      () => `lease ${token} was given to request ${other}, and to ${ask.requestId}`,
    );
    this.#requestOfToken.set(token, ask.requestId);
    const params = sorted(paramsFromWire(assignment.params));
    const before = this.#params.get(`${study} ${number}`);
    monitor.expect(
      before === undefined || before === params,
      () => `${study} ${number} was given out with ${before}, and then with ${params}`,
    );
    this.#params.set(`${study} ${number}`, params);
  }

  async #told(tell: TellRequest, { result, state }: TellResponse): Promise<void> {
    const { leaseToken: token, outcome } = tell;
    if (outcome?.$case === 'completed') this.#untold.delete(outcome.value.metrics['noise'] ?? NaN);
    const found = await attemptOf(this.#store, leaseToken(token));
    if (found === null) {
      this.#monitor.violate(`the result of lease ${token} was taken, and the lease is unknown`);
      return;
    }
    const { attempt } = found;
    if (result === TellResult.LEASE_LOST) {
      this.#late += 1;
      const late = await this.#store.listLateResults(found.study);
      this.#monitor.expect(
        state !== TrialState.UNSPECIFIED && late.some((each) => each.token === token),
        () => `the late result of ${token} is not kept`,
      );
      return;
    }
    if (result === TellResult.RECORDED) this.#results.set(token, tell);
    this.#recorded(tell, attempt);
  }

  #recorded(tell: TellRequest, attempt: AttemptRecord): void {
    this.#monitor.expect(
      attempt.outcome !== null && outcomesOf(tell).includes(attempt.outcome),
      () => `a result was acknowledged and is not stored: ${text(tell)}; its attempt: ${text(attempt)}`,
    );
  }

  async #released({ lease, unfit, unstarted }: ReleaseRequest, { released }: ReleaseResponse): Promise<void> {
    if (!released || lease?.$case !== 'leaseToken') return;
    this.#returned += 1;
    const found = await attemptOf(this.#store, leaseToken(lease.value));
    this.#monitor.expect(
      found?.attempt.outcome === (unfit ? 'unfit' : unstarted ? 'returned' : 'preempted'),
      () => `lease ${lease.value} was given back; stored is ${text(found)}`,
    );
  }

  async #left(
    { leaseToken: token, content }: PutArtifactRequest,
    { answer }: PutArtifactResponse,
  ): Promise<void> {
    if (answer === LeaseAnswer.LOST) return;
    this.#files.set(token, content.toString());
    const found = await attemptOf(this.#store, leaseToken(token));
    const stored =
      found === null ? null : await this.#store.findArtifact(found.study, found.number, 'forecasts');
    this.#monitor.expect(stored !== null, () => `the file of ${token} was taken and is not stored`);
  }

  async #queued(request: EnqueueTrialRequest, { number }: EnqueueTrialResponse): Promise<void> {
    const { study, requestId: id } = request;
    const params = sorted(paramsFromWire(request.params));
    const earlier = this.#enqueued.get(id);
    this.#monitor.expect(
      earlier === undefined || earlier.number === number,
      () => `enqueue ${id} was answered with ${earlier?.number}, and then with ${number}`,
    );
    this.#enqueued.set(id, { study, number, params });
    await this.#isQueued(id, { study, number, params });
  }

  async #isQueued(
    id: string,
    { study, number, params }: { study: string; number: number; params: string },
  ): Promise<void> {
    const found = await this.#store.findStudy(study);
    const [trial] =
      found === null ? [] : await this.#store.listTrials(found.id, { fromNumber: number, limit: 1 });
    this.#monitor.expect(
      trial?.number === number &&
        trial.enqueueRequestId === requestId(id) &&
        sorted(trial.given ?? {}) === params,
      () => `enqueue ${id} was answered with ${number}; stored is ${text(trial)}`,
    );
  }

  /**
   * The file of a complete trial is that of the attempt which brought the result, not of one before it. An attempt that never got an
   * answer for its file has told its result without in the end; then nothing was promised of it.
   */
  async #hasItsFile(
    token: string,
    { study, number }: { study: StudyId; number: TrialNumber },
  ): Promise<void> {
    if (!this.#files.has(token)) return;
    const stored = await this.#store.findArtifact(study, number, 'forecasts');
    const content = stored === null ? undefined : Buffer.from(stored.content).toString();
    const left = this.#files.get(token);
    this.#monitor.expect(
      content === left,
      () =>
        `the attempt under ${token} finished the trial and left ${text(left)}; stored is ${text(content)}`,
    );
  }

  /** Once more for everything that was ever acknowledged. */
  async checkAll(): Promise<void> {
    for (const [token, tell] of this.#results) {
      const found = await attemptOf(this.#store, leaseToken(token));
      this.#monitor.expect(found !== null, () => `acknowledged lease ${token} is gone`);
      if (found === null) continue;
      this.#recorded(tell, found.attempt);
      const [trial] = await this.#store.listTrials(found.study, { fromNumber: found.number, limit: 1 });
      if (found.attempt.outcome === 'finished' && tell.outcome?.$case === 'completed') {
        const told = tell.outcome.value.metrics;
        this.#monitor.expect(
          trial?.state === 'COMPLETE' && text(sorted(trial.metrics)) === text(sorted(told)),
          () =>
            `the result of ${token} was acknowledged; its trial is ${text(trial)}, told was ${text(told)}`,
        );
        await this.#hasItsFile(token, found);
      }
    }
    for (const [id, enqueued] of this.#enqueued) await this.#isQueued(id, enqueued);
    for (const study of await this.#store.listStudies())
      for (const { number, params } of await this.#store.listTrials(study.id, everyTrial)) {
        const given = this.#params.get(`${study.definition.name} ${number}`);
        this.#monitor.expect(
          given === undefined || given === sorted({ ...study.definition.fixed, ...params }),
          () => `${study.definition.name} ${number} was given out with ${given}; stored is ${text(params)}`,
        );
      }
  }
}

const sorted = (record: Readonly<Record<string, unknown>>): string =>
  Object.entries(record)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(' ');

const text = (value: unknown): string => JSON.stringify(value);
