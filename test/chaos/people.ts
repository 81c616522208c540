/** People who keep a few studies going while everything around them fails. */
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../coordinator/app/errors.js';
import {
  remoteGateway,
  CoordinatorUnreachable,
  type RemoteGateway,
} from '../../coordinator/grpc/remote-gateway.js';
import { finishedCount } from '../../shared/core/study/study.js';
import { RpcError, isRetryable } from '../../shared/wire/call.js';
import { Draw } from '../sim/draw.js';
import { stragglersTrainer } from './stragglers.js';

/** Studies that are open at the same time. */
const openStudies = 4;
const lookEveryMs = 300;

const studyFile = (
  { name, trainer, trials }: { readonly name: string; readonly trainer: string; readonly trials: number },
  draw: Draw,
): string => `name: ${name}
direction: maximize
objective: { auc: 0.7, dir_acc: 0.3 }
trials: ${trials}
sampler: { type: ${draw.pick(['tpe', 'random'])}, seed: ${draw.whole(0, 999)} }
space:
  x: { low: -2.0, high: 2.0 }
  rate: { low: 1.0e-5, high: 0.1, log: true }
  kind: { choices: [a, b, c] }
trainer: ${trainer}
failure: { stall_timeout: 4s, lost_retries: 8, error_retries: 3 }
`;

/** A trial that a person enqueued and that the coordinator acknowledged. */
export interface Enqueued {
  readonly study: string;
  readonly number: number;
  readonly x: number;
}

/** How far all studies have come. */
export interface Progress {
  /** Names of the studies that are not over. */
  readonly open: readonly string[];
  /** Finished trials of all studies. */
  readonly finished: number;
}

interface NewStudy {
  readonly kind: 'chaos' | 'straggle';
  readonly trainer: string;
  readonly trials: number;
}

export class People {
  readonly enqueued: Enqueued[] = [];
  readonly #gateway: RemoteGateway;
  readonly #draw: Draw;
  #created = 0;

  constructor(address: string, seed: number) {
    this.#gateway = remoteGateway(address);
    this.#draw = new Draw(seed);
  }

  /** Opens new studies as others end, until `over` aborts. */
  async work(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      const studies = await this.#call(() => this.#gateway.list(), over);
      if (studies === null) return;
      const open = (named: string): number =>
        studies.filter(({ state, name }) => state !== 'FINISHED' && name.startsWith(named)).length;
      if (open('chaos') < openStudies)
        await this.#create({ kind: 'chaos', trainer: 'instant', trials: this.#draw.skewed(30, 600) }, over);
      if (open('straggle') === 0)
        await this.#create({ kind: 'straggle', trainer: stragglersTrainer, trials: 20 }, over);
      await sleep(lookEveryMs, undefined, { signal: over }).catch(() => undefined);
    }
  }

  /** Pauses the newest open study, and lets it go on later. */
  async pauseOne(ms: number, over: AbortSignal): Promise<void> {
    const studies = await this.#call(() => this.#gateway.list(), over);
    const study = studies?.findLast(({ state }) => state === 'RUNNING');
    if (study === undefined) return;
    await this.#call(() => this.#gateway.pause(study.name), over);
    await sleep(ms);
    await this.#call(() => this.#gateway.resume(study.name), over);
  }

  /** Everything is whole again: lets every paused study go on, and answers how far all have come. */
  async progress(): Promise<Progress> {
    const studies = await this.#gateway.list();
    for (const { name, state } of studies) if (state === 'PAUSED') await this.#gateway.resume(name);
    return {
      open: studies.filter(({ state }) => state !== 'FINISHED').map(({ name }) => name),
      finished: studies.reduce((sum, { counts }) => sum + finishedCount(counts), 0),
    };
  }

  close(): void {
    this.#gateway.close();
  }

  async #create({ kind, ...rest }: NewStudy, over: AbortSignal): Promise<void> {
    const name = `${kind}-${String(this.#created).padStart(4, '0')}`;
    const definitionText = studyFile({ name, ...rest }, this.#draw);
    this.#created += 1;
    const made = await this.#call(
      () => this.#gateway.create({ definitionText, trials: null, dataset: null }),
      over,
    );
    if (made === null || !this.#draw.chance(0.5)) return;
    const requestId = `enqueue-${name}`;
    const x = this.#draw.unit();
    const number = await this.#call(() => this.#gateway.enqueue(name, { requestId, params: { x } }), over);
    if (number !== null) this.enqueued.push({ study: name, number, x });
  }

  /** The answer to a call that is repeated until there is one; null when it was refused, or when time was up. */
  async #call<T>(call: () => Promise<T>, over: AbortSignal): Promise<T | null> {
    for (;;) {
      try {
        return await call();
      } catch (error) {
        if (error instanceof AppError && !error.message.includes('did not answer in time')) return null;
        const away =
          error instanceof AppError ||
          error instanceof CoordinatorUnreachable ||
          (error instanceof RpcError && isRetryable(error));
        if (!away) throw error;
        if (over.aborted) return null;
        await sleep(lookEveryMs);
      }
    }
  }
}
