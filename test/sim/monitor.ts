/**
 * The invariants, checked after every commit against what is stored, and for every answer that leaves a coordinator
 * (from then on somebody may rely on it). Knows the promises of architecture §4 and §5, not how they are kept.
 */
import type { StudyId, TrialNumber } from '../../shared/core/ids.js';
import {
  isFinished,
  transitionTable,
  trialEvents,
  type TrialEvent,
} from '../../shared/core/study/transition.js';
import { trialStates, type TrialState } from '../../shared/core/study/trial.js';
import type { AttemptRecord, Storage, StudyRecord, TrialRecord } from '../../coordinator/storage/port.js';

/** What the monitor knows of the world besides what is stored. */
export interface Truth {
  readonly nowMs: () => number;
  /** Is there an excuse for a lost lease of this worker? */
  readonly mayLose: (worker: string) => boolean;
}

interface Seen {
  record: StudyRecord;
  /** Memory of the largest GPU that was too small, by number. */
  readonly tooSmall: Map<number, number>;
  trials: readonly TrialRecord[];
  /** The budget was lowered at some time. */
  lowered: boolean;
}

interface Snapshot {
  readonly studies: readonly StudyRecord[];
  readonly trials: ReadonlyMap<StudyId, readonly TrialRecord[]>;
}

/** More trials than any simulated study has. */
export const everyTrial = { fromNumber: 0, limit: 10_000 } as const;

/** States that one event leads to. */
function reachable(from: TrialState): ReadonlySet<TrialState> {
  const cells = trialEvents.map((event: TrialEvent) => transitionTable[from][event]);
  const policy: readonly TrialState[] = ['WAITING', 'COMPLETE', 'PRUNED', 'FAIL'];
  return new Set(cells.flatMap((cell) => (cell === 'refused' ? [] : cell === 'policy' ? policy : [cell])));
}
const next = new Map(trialStates.map((state) => [state, reachable(state)]));

export class Monitor {
  readonly #store: Storage;
  readonly #truth: Truth;
  readonly #seen = new Map<StudyId, Seen>();
  #violation: string | null = null;
  #looked: Promise<void> = Promise.resolve();

  constructor(store: Storage, truth: Truth) {
    this.#store = store;
    this.#truth = truth;
  }

  /** The first broken invariant; null while all hold. */
  get violation(): string | null {
    return this.#violation;
  }

  violate(text: string): void {
    this.#violation ??= text;
  }

  expect(condition: boolean, text: () => string): void {
    if (!condition) this.violate(text());
  }

  /** The studies as of the last look. */
  studies(): readonly StudyRecord[] {
    return [...this.#seen.values()].map(({ record }) => record);
  }

  trials(study: StudyId): readonly TrialRecord[] {
    return this.#seen.get(study)?.trials ?? [];
  }

  /** Was the budget of this study lowered at some time? */
  wasLowered(study: StudyId): boolean {
    return this.#seen.get(study)?.lowered ?? false;
  }

  /** Compares what is committed at this moment with what was at the last look. */
  look(): void {
    const ids = [...this.#seen.keys()];
    // The store in memory reads at the time of the call, so this is one consistent picture.
    const studies = this.#store.listStudies();
    const trials = ids.map((id) => this.#store.listTrials(id, everyTrial));
    const picture = Promise.all([studies, Promise.all(trials)]);
    this.#looked = this.#looked
      .then(async () => {
        const [records, lists] = await picture;
        await this.#compare({ studies: records, trials: new Map(ids.map((id, i) => [id, lists[i] ?? []])) });
      })
      .catch((error: unknown) => this.violate(`the monitor failed: ${String(error)}`));
  }

  async #compare({ studies, trials }: Snapshot): Promise<void> {
    for (const record of studies) {
      const seen = this.#seen.get(record.id);
      const list = trials.get(record.id);
      if (seen === undefined || list === undefined) {
        this.#seen.set(record.id, { record, trials: [], lowered: false, tooSmall: new Map() });
        // Its first trials came with it and were not asked for; nothing else commits at this moment of virtual time.
        this.look();
        continue;
      }
      if (record === seen.record && list.every((trial, index) => trial === seen.trials[index])) continue;
      this.#checkStudy(seen, record, list);
      for (const [index, trial] of list.entries()) {
        const before = seen.trials[index];
        if (trial === before) continue;
        const attempts = await this.#store.listAttempts(record.id, trial.number);
        this.#checkTrial(record, before, trial);
        if (before !== undefined) this.#checkLeases(seen, { before, trial, attempts });
        this.#checkAttempts(record, trial, attempts);
      }
      seen.record = record;
      seen.trials = list;
    }
  }

  #checkStudy(seen: Seen, record: StudyRecord, trials: readonly TrialRecord[]): void {
    const { name } = record.definition;
    const { nextNumber, finishSequence, trialsMax } = record;
    if (trialsMax < seen.record.trialsMax) seen.lowered = true;
    const grown = nextNumber > seen.record.nextNumber;
    this.expect(
      !grown || nextNumber <= trialsMax,
      () => `${name}: number ${nextNumber - 1} was given out beyond the budget of ${trialsMax}`,
    );
    this.expect(
      trials.length === nextNumber && trials.every(({ number }, index) => number === index),
      () => `${name}: ${trials.length} trials, next number ${nextNumber}: a number is missing or double`,
    );
    const sequences = trials.flatMap(({ finishSequence: each }) => each ?? []).sort((a, b) => a - b);
    this.expect(
      sequences.length === finishSequence && sequences.every((each, index) => each === index + 1),
      () => `${name}: finish sequences ${sequences.join(' ')}; the last should be ${finishSequence}`,
    );
    this.expect(
      record.state !== 'FINISHED' || (nextNumber >= trialsMax && finishSequence === nextNumber),
      () => `${name}: FINISHED with ${finishSequence} of ${nextNumber} finished, budget ${trialsMax}`,
    );
  }

  #checkTrial(study: StudyRecord, before: TrialRecord | undefined, trial: TrialRecord): void {
    const where = `${study.definition.name} ${trial.number}`;
    const { state, lease, params, watermark, finishSequence } = trial;
    this.expect(
      (lease !== null) === (state === 'RUNNING'),
      () => `${where}: ${state}, lease ${lease?.token}`,
    );
    this.expect(
      (finishSequence !== null) === isFinished(state),
      () => `${where}: ${state}, finish sequence ${finishSequence}`,
    );
    this.expect(
      (params === null) === (watermark === null),
      () => `${where}: parameters without what their suggestion saw, or the reverse`,
    );
    if (watermark !== null)
      this.expect(
        watermark.finishSequence <= study.finishSequence &&
          watermark.running.every(
            (number, index) =>
              number < study.nextNumber &&
              number !== trial.number &&
              number > (watermark.running[index - 1] ?? -1),
          ),
        () => `${where}: saw what there was not: ${JSON.stringify(watermark)}`,
      );
    // One commit may hold several steps of a trial: given out and cancelled, given back and given out again.
    if (before === undefined) {
      this.expect(!isFinished(state) || state === 'CANCELLED', () => `${where}: appeared as ${state}`);
      return;
    }
    this.expect(!isFinished(before.state), () => `${where}: changed after it was ${before.state}`);
    this.expect(
      before.state === state || (next.get(before.state)?.has(state) ?? false),
      () => `${where}: from ${before.state} to ${state}`,
    );
    this.expect(
      before.lease === null ||
        lease === null ||
        before.lease.token === lease.token ||
        trial.attempt > before.attempt,
      () => `${where}: lease ${before.lease?.token} and then ${lease?.token}, with no end between`,
    );
    this.expect(
      before.params === null || JSON.stringify(before.params) === JSON.stringify(params),
      () => `${where}: parameters changed`,
    );
  }

  #checkLeases(
    { record, tooSmall }: Seen,
    {
      before,
      trial,
      attempts,
    }: {
      readonly before: TrialRecord;
      readonly trial: TrialRecord;
      readonly attempts: readonly AttemptRecord[];
    },
  ): void {
    const where = `${record.definition.name} ${trial.number}`;
    const held = before.lease;
    const ended = attempts.find(({ token }) => token === held?.token)?.outcome ?? null;
    if (held !== null && ended === 'lost') {
      // By true time, which is the store's, whatever the clock of the coordinator that did it says.
      const earlyMs = held.expiresAtMs - this.#truth.nowMs();
      this.expect(
        earlyMs <= 0,
        () => `${where}: lease ${held.token} was taken away ${earlyMs} ms before its end`,
      );
    }
    if (held !== null && ended === 'lost')
      this.expect(
        this.#truth.mayLose(held.worker),
        () => `${where}: lease ${held.token} of ${held.worker} was lost though nothing was wrong with it`,
      );
    if (held !== null && trial.lease?.token === held.token)
      this.expect(
        trial.lease.expiresAtMs >= held.expiresAtMs,
        () => `${where}: the end of lease ${held.token} was moved back`,
      );
    if (held !== null && ended === 'oom')
      tooSmall.set(trial.number, Math.max(held.gpuMemoryBytes ?? 0, tooSmall.get(trial.number) ?? 0));
    const needed = tooSmall.get(trial.number);
    if (trial.lease !== null && trial.lease.token !== held?.token && needed !== undefined) {
      const given = trial.lease.gpuMemoryBytes ?? 0;
      this.expect(given > needed, () => `${where}: runs in ${given} bytes after ${needed} were not enough`);
    }
  }

  /** One row per lease ever given, the last one open exactly while the trial runs. */
  #checkAttempts(study: StudyRecord, trial: TrialRecord, attempts: readonly AttemptRecord[]): void {
    const where = `${study.definition.name} ${trial.number}`;
    const open = attempts.filter(({ endedAtMs }) => endedAtMs === null);
    this.expect(
      attempts.length === trial.attempt && attempts.every(({ attempt }, index) => attempt === index + 1),
      () => `${where}: attempt ${trial.attempt}, rows ${attempts.map(({ attempt }) => attempt).join(' ')}`,
    );
    this.expect(
      open.length === (trial.lease === null ? 0 : 1) &&
        open.every(({ token }) => token === trial.lease?.token),
      () =>
        `${where}: lease ${trial.lease?.token}, open attempts ${open.map(({ token }) => token).join(' ')}`,
    );
    const count = (...outcomes: readonly string[]): number =>
      attempts.filter(({ outcome }) => outcome !== null && outcomes.includes(outcome)).length;
    const { error, timeout, lost } = trial.retries;
    this.expect(
      count('error') === error && count('timeout') === timeout && count('lost', 'preempted') === lost,
      () => `${where}: retries ${JSON.stringify(trial.retries)} are not what its attempts came to`,
    );
  }
}

/** The attempt of a lease token, wherever it is; null when the token is unknown. */
export async function attemptOf(
  store: Storage,
  token: Parameters<Storage['findLease']>[0],
): Promise<{ study: StudyId; number: TrialNumber; attempt: AttemptRecord } | null> {
  const lease = await store.findLease(token);
  if (lease === null) return null;
  const attempts = await store.listAttempts(lease.study, lease.number);
  const attempt = attempts.find((each) => each.token === token);
  return attempt === undefined ? null : { ...lease, attempt };
}
