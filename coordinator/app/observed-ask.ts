import type { Clock } from '../../shared/platform/clock.js';
import { ask, type AskOutcome, type AskRequest } from './ask.js';
import type { AppContext } from './context.js';
import { silentAppObserver, type AppObserver } from './observer.js';
import { WorkSignal } from './work-signal.js';

/** `ask`, told to the context's observer: the looks at the store, and the time it is held in between. */
export async function observedAsk(
  context: AppContext,
  request: AskRequest,
  signal: AbortSignal,
): Promise<AskOutcome> {
  const observer = context.observer ?? silentAppObserver;
  const held = new HeldAsk(context.signal, observer);
  const outcome = await ask({ ...context, signal: held }, request, signal);
  held.end(outcome.kind === 'assigned' ? 'assigned' : 'empty');
  return outcome;
}

/** The signal as one ask sees it. While it waits it is held; before and after it looks for work. */
class HeldAsk extends WorkSignal {
  readonly #inner: WorkSignal;
  readonly #observer: AppObserver;
  #look: ReturnType<AppObserver['looking']>;

  constructor(inner: WorkSignal, observer: AppObserver) {
    super();
    this.#inner = inner;
    this.#observer = observer;
    this.#look = observer.looking();
  }

  override notify(): void {
    this.#inner.notify();
  }

  override async wait(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    this.#look('empty');
    const end = this.#observer.holding();
    await this.#inner.wait(clock, ms, signal);
    end();
    this.#look = this.#observer.looking();
  }

  end(result: 'assigned' | 'empty'): void {
    this.#look(result);
  }
}
