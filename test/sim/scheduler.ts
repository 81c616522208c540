/**
 * Virtual time. Events run one by one in the order of their times, and of their scheduling where times are equal;
 * between two events every promise that can settle has settled. So a run depends on nothing but its seed.
 */
interface Event {
  readonly atMs: number;
  readonly sequence: number;
  run: (() => void) | null;
}

const earlier = (a: Event, b: Event): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);

/** Nothing in a simulation does real I/O, so one turn of the event loop empties the queue of promise jobs. */
const quiescence = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class Scheduler {
  /** Binary heap, the earliest first. */
  readonly #heap: Event[] = [];
  #nowMs = 0;
  #sequence = 0;
  #steps = 0;

  /** Virtual milliseconds since the start. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events run so far. */
  get steps(): number {
    return this.#steps;
  }

  /** Runs `run` after `delayMs` (at least 0), in a step of its own. Returns what cancels it. */
  after(delayMs: number, run: () => void): () => void {
    const event: Event = {
      atMs: this.#nowMs + Math.max(0, Math.round(delayMs)),
      sequence: (this.#sequence += 1),
      run,
    };
    this.#push(event);
    return () => (event.run = null);
  }

  /** Runs the next event and lets everything settle that it set off. False when there is none. */
  async step(): Promise<boolean> {
    let event = this.#pop();
    while (event !== undefined && event.run === null) event = this.#pop();
    if (event === undefined) return false;
    this.#nowMs = event.atMs;
    this.#steps += 1;
    event.run?.();
    await quiescence();
    return true;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let index = heap.push(event) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!earlier(event, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = event;
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && earlier(heap[child + 1]!, heap[child]!)) child += 1;
      if (!earlier(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}
