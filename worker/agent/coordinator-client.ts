/** The worker's side of the trial service: core values in and out, deadlines and retries inside. */
import { status } from '@grpc/grpc-js';
import type { Log } from '../../shared/platform/log.js';
import type { Clock } from '../../shared/platform/clock.js';
import type { Artifact } from '../../shared/core/study/artifact.js';
import type { LeaseAnswer } from '../../shared/core/study/study.js';
import type { Metrics } from '../../shared/core/study/trial.js';
import { RpcError, retrying } from '../../shared/wire/call.js';
import type { ChannelSecurity } from '../../shared/wire/channel.js';
import { leaseAnswerFromWire } from '../../shared/wire/convert.js';
import {
  TellResponse_Result,
  type AskResponse,
  type FetchDatasetResponse,
  type RegisterRequest,
  type RegisterResponse,
  type ReleaseRequest,
  type TellRequest,
} from '../../shared/wire/gen/parzen/v1/trial.js';
import {
  artifactRefusalsMax,
  askDeadlineMs,
  askWaitMs,
  complaintIntervalMs,
  farewellDeadlineMs,
  roundTripSmoothing,
  shortCallDeadlineMs,
  tellDeadlineMs,
} from '../limits.js';
import { grpcTrialCalls, type TrialCalls } from './trial-calls.js';

export interface CoordinatorClientOptions {
  readonly address: string;
  /** TLS and token; plain unless given. */
  readonly security?: ChannelSecurity;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** The way to the coordinator; gRPC to `address` unless given. */
  readonly calls?: TrialCalls;
}

/** Why a trial is given back; `unfit` (this worker cannot run trials) and `unstarted` are not counted against it. */
export type GiveBackReason = 'stopped' | 'unfit' | 'unstarted';

export interface AskOptions {
  readonly requestId: string;
  readonly workerId: string;
  readonly study: string | null;
  readonly trainers: readonly string[];
  /** Asked while another trial runs: not held, and refused near the end of a study. */
  readonly ahead: boolean;
}

export type TellAnswer = 'recorded' | 'already-recorded' | 'lease-lost';

const tellAnswers: Readonly<Record<string, TellAnswer>> = {
  [TellResponse_Result.RECORDED]: 'recorded',
  [TellResponse_Result.ALREADY_RECORDED]: 'already-recorded',
  [TellResponse_Result.LEASE_LOST]: 'lease-lost',
};

export class CoordinatorClient {
  readonly #options: CoordinatorClientOptions;
  readonly #calls: TrialCalls;
  #complainedAtMs = -Infinity;
  #roundTripMs: number | null = null;

  constructor(options: CoordinatorClientOptions) {
    this.#options = options;
    this.#calls = options.calls ?? grpcTrialCalls(options.address, options.security);
  }

  /** How long a call that commits something takes, ms, smoothed; null before the first. */
  get roundTripMs(): number | null {
    return this.#roundTripMs;
  }

  /** Registers, however long the coordinator takes to come up; rejects when `signal` aborts. */
  register(request: RegisterRequest, signal: AbortSignal): Promise<RegisterResponse> {
    return this.#untilAnswered(signal, () =>
      this.#calls.register(request, { deadlineMs: tellDeadlineMs, signal }),
    );
  }

  /** Says that this worker is about to stop. Not repeated: without it the coordinator finds out, a little later. */
  leave(request: RegisterRequest): Promise<void> {
    return this.#calls.register({ ...request, draining: true }, { deadlineMs: farewellDeadlineMs }).then(
      () => undefined,
      (error: unknown) => this.#options.log.debug({ reason: String(error) }, 'left without a word'),
    );
  }

  /** Asks for a trial under one request id until there is an answer; rejects when `signal` aborts. */
  async ask(
    { requestId, workerId, study, trainers, ahead }: AskOptions,
    signal: AbortSignal,
  ): Promise<AskResponse['outcome']> {
    const waitMs = ahead ? 0 : askWaitMs;
    const wire = { requestId, workerId, study: study ?? '', waitMs, trainers: [...trainers], ahead };
    const response = await this.#untilAnswered(signal, () =>
      this.#calls.ask(wire, { deadlineMs: askDeadlineMs, signal }),
    );
    return response.outcome;
  }

  /**
   * Leaves a file with a trial until it is acknowledged, however long the coordinator is away; rejects when `signal` aborts, and
   * where it is refused: at once, or again and again (too large for somebody on the way), for then the result must not wait for it.
   */
  async putArtifact(leaseToken: string, artifact: Artifact, signal: AbortSignal): Promise<LeaseAnswer> {
    const { name, layout, content } = artifact;
    const request = { leaseToken, name, layout, content: Buffer.from(content) };
    let refusals = 0;
    const { answer } = await this.#untilAnswered(signal, async () => {
      try {
        return await this.#calls.putArtifact(request, { deadlineMs: tellDeadlineMs, signal });
      } catch (error) {
        const isAway = error instanceof RpcError && error.code === status.UNAVAILABLE;
        if (!isAway) refusals += 1;
        if (refusals < artifactRefusalsMax) throw error;
        throw new Error(`refused ${refusals} times: ${String(error)}`, { cause: error });
      }
    });
    return leaseAnswerFromWire(answer);
  }

  /** Tells an outcome until it is acknowledged; rejects when `signal` aborts. */
  async tell(request: TellRequest, signal: AbortSignal): Promise<TellAnswer> {
    const response = await this.#untilAnswered(signal, async () => {
      const startedAtMs = this.#options.clock.nowMs();
      const answered = await this.#calls.tell(request, { deadlineMs: tellDeadlineMs, signal });
      this.#observeRoundTrip(this.#options.clock.nowMs() - startedAtMs);
      return answered;
    });
    const answer = tellAnswers[response.result];
    if (answer === undefined) throw new Error(`the coordinator answered ${response.result} to a result`);
    return answer;
  }

  /** Gives back a lease, or whatever an ask was answered with; tries until `signal` aborts. */
  async release(
    lease: NonNullable<ReleaseRequest['lease']>,
    why: GiveBackReason,
    signal: AbortSignal,
  ): Promise<boolean> {
    const request = { lease, unfit: why === 'unfit', unstarted: why === 'unstarted' };
    const response = await this.#untilAnswered(signal, () =>
      this.#calls.release(request, { deadlineMs: shortCallDeadlineMs, signal }),
    );
    return response.released;
  }

  /** One report, not repeated: the next one makes up for it. */
  async report(leaseToken: string, step: number, metrics: Metrics): Promise<LeaseAnswer> {
    const request = { leaseToken, step, metrics: { ...metrics } };
    const response = await this.#calls.report(request, {
      deadlineMs: shortCallDeadlineMs,
    });
    return leaseAnswerFromWire(response.answer);
  }

  /** One heartbeat, not repeated. `answers` has one entry per lease. */
  async heartbeat(
    workerId: string,
    leaseTokens: readonly string[],
    signal: AbortSignal,
  ): Promise<{ answers: LeaseAnswer[]; known: boolean }> {
    const request = { workerId, leaseTokens: [...leaseTokens] };
    const response = await this.#calls.heartbeat(request, { deadlineMs: shortCallDeadlineMs, signal });
    return { answers: response.answers.map(leaseAnswerFromWire), known: response.knownWorker };
  }

  /** The canonical bytes of a data set, piece by piece. */
  fetchDataset(hash: string): AsyncIterable<FetchDatasetResponse> {
    return this.#calls.fetchDataset(hash);
  }

  close(): void {
    this.#calls.close();
  }

  #untilAnswered<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> {
    const { clock, random } = this.#options;
    return retrying(call, {
      sleep: (ms, ended) => clock.sleep(ms, ended),
      random,
      signal,
      attemptsMax: Infinity,
      onRetry: (error) => this.#complain(error),
    });
  }

  #observeRoundTrip(ms: number): void {
    const before = this.#roundTripMs ?? ms;
    this.#roundTripMs = before + roundTripSmoothing * (ms - before);
  }

  #complain(error: unknown): void {
    const { clock, log, address } = this.#options;
    if (clock.nowMs() - this.#complainedAtMs < complaintIntervalMs) return;
    this.#complainedAtMs = clock.nowMs();
    const reason = error instanceof Error ? error.message : String(error);
    log.warn({ coordinator: address, reason }, 'no answer from the coordinator; trying again');
  }
}
