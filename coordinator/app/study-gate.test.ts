import { describe, expect, it } from 'vitest';
import { StudyGate, type HeldAsk, type LookEnd } from './study-gate.js';

const closedMs = 1_000;

/** Asks at one gate. An ask that is woken has the turn until `end`. */
class Crowd {
  readonly gate = new StudyGate(closedMs);
  /** Asks that have the turn, in the order in which they were woken. */
  readonly turns: { readonly name: string; readonly memoryBytes: number | null; readonly changes: number }[] =
    [];
  readonly #asks = new Map<string, HeldAsk>();
  nowMs = 0;

  join(name: string, memoryBytes: number | null = null): void {
    const ask: HeldAsk = {
      memoryBytes,
      wake: (gate) => {
        gate.leave(ask);
        this.turns.push({ name, memoryBytes, changes: gate.begin() });
      },
    };
    this.#asks.set(name, ask);
    this.gate.join(ask);
  }

  leave(name: string): void {
    const ask = this.#asks.get(name);
    if (ask !== undefined) this.gate.leave(ask);
  }

  /** Names of the asks that have the turn. */
  get woken(): readonly string[] {
    return this.turns.map(({ name }) => name);
  }

  /** The ask that was woken first ends its look. */
  end(end: LookEnd): void {
    const turn = this.turns.shift();
    if (turn === undefined) throw new Error('nobody has the turn');
    const { changes, memoryBytes } = turn;
    this.gate.end(end, { changes, memoryBytes, turn: true, nowMs: this.nowMs });
  }

  /** An ask that was not held looks, and finds this. */
  look(end: LookEnd, memoryBytes: number | null = null): void {
    const changes = this.gate.begin();
    this.gate.end(end, { changes, memoryBytes, turn: false, nowMs: this.nowMs });
  }
}

/** A gate that is closed, with these asks held. */
function closed(...names: readonly string[]): Crowd {
  const crowd = new Crowd();
  crowd.look('all-running');
  for (const name of names) crowd.join(name);
  expect(crowd.woken).toEqual([]);
  return crowd;
}

describe('a gate', () => {
  it('lets one ask look for all at a change', () => {
    const crowd = closed('a', 'b', 'c');
    crowd.gate.open();
    expect(crowd.woken).toEqual(['a']);
    crowd.end('all-running');
    expect(crowd.woken).toEqual([]);
    expect(crowd.gate.reasonFor(null)).toBe('all-running');
    crowd.gate.open();
    expect(crowd.woken).toEqual(['b']);
  });

  it('lets an ask look that joins while it is open, and no second one meanwhile', () => {
    const crowd = new Crowd();
    crowd.join('a');
    crowd.join('b');
    expect(crowd.woken).toEqual(['a']);
    crowd.end('all-running');
    crowd.join('c');
    expect(crowd.woken).toEqual([]);
  });

  it('lets twice as many look after each that found work, 64 at most at a time', () => {
    const crowd = closed(...Array.from({ length: 1_000 }, (_, index) => `w${index}`));
    crowd.gate.open();
    const most: number[] = [];
    for (let round = 0; round < 10; round += 1) {
      most.push(crowd.turns.length);
      for (let left = crowd.turns.length; left > 0; left -= 1) crowd.end('assigned');
    }
    expect(most.slice(0, 3)).toEqual([1, 2, 8]);
    expect(Math.max(...most)).toBe(64);
    expect(most.at(-1)).toBe(64);
    // Begins with one again after the next change.
    while (crowd.turns.length > 0) crowd.end('all-running');
    crowd.gate.open();
    expect(crowd.turns.length).toBe(1);
  });

  it('hands the turn on that was passed, though nothing is known of the study', () => {
    const crowd = closed('a', 'b');
    crowd.gate.open();
    crowd.end('passed');
    expect(crowd.woken).toEqual(['b']);
    expect(crowd.gate.reasonFor(null)).toBeNull();
  });

  it('wakes nobody after a look that failed, until the next change', () => {
    const crowd = closed('a', 'b');
    crowd.gate.open();
    crowd.end('failed');
    expect(crowd.woken).toEqual([]);
    crowd.gate.open();
    expect(crowd.woken).toEqual(['b']);
  });

  it('has the next ask look again when there was a change during a look that found nothing', () => {
    const crowd = closed('a', 'b');
    crowd.gate.open();
    crowd.gate.open();
    expect(crowd.woken).toEqual(['a']);
    crowd.end('all-running');
    expect(crowd.gate.reasonFor(null)).toBeNull();
    expect(crowd.woken).toEqual(['b']);
    crowd.end('all-running');
    expect(crowd.gate.reasonFor(null)).toBe('all-running');
  });

  it('does not take a change that brings no work for one that does', () => {
    const crowd = closed('a');
    crowd.gate.forget();
    expect(crowd.woken).toEqual([]);
    expect(crowd.gate.reasonFor(null)).toBeNull();
  });

  it('wakes whoever is held when an ask that was not held found it open', () => {
    const crowd = closed('a', 'b');
    crowd.gate.forget();
    crowd.look('assigned');
    expect(crowd.woken).toEqual([]);
    crowd.look('needs-more-memory', 8e9);
    // Unknown memory is no more than 8 GB.
    expect(crowd.woken).toEqual([]);
    crowd.join('big', 24e9);
    expect(crowd.woken).toEqual(['big']);
  });

  it('is closed to those with no more memory than was too little, and open to others', () => {
    const crowd = closed();
    crowd.join('small', 8e9);
    crowd.join('unknown', null);
    crowd.join('big', 24e9);
    crowd.gate.open();
    expect(crowd.woken).toEqual(['small']);
    crowd.end('needs-more-memory');
    expect(crowd.woken).toEqual(['big']);
    expect(crowd.gate.reasonFor(8e9)).toBe('needs-more-memory');
    expect(crowd.gate.reasonFor(null)).toBe('needs-more-memory');
    expect(crowd.gate.reasonFor(8e9 + 1)).toBeNull();
    crowd.end('needs-more-memory');
    expect(crowd.gate.reasonFor(24e9)).toBe('needs-more-memory');
  });

  it('wakes nobody who has left', () => {
    const crowd = closed('a', 'b');
    crowd.leave('a');
    crowd.gate.open();
    expect(crowd.woken).toEqual(['b']);
  });

  it('is not closed for ever, whichever way the clock goes', () => {
    const crowd = closed();
    expect(crowd.gate.reasonFor(null, closedMs - 1)).toBe('all-running');
    expect(crowd.gate.reasonFor(null, closedMs)).toBeNull();
    expect(crowd.gate.reasonFor(null, -closedMs)).toBeNull();
  });

  it('is in use while asks are held or look', () => {
    const crowd = closed();
    expect(crowd.gate.isUsed).toBe(false);
    crowd.join('a');
    expect(crowd.gate.isUsed).toBe(true);
    crowd.gate.open();
    expect(crowd.gate.isUsed).toBe(true);
    crowd.end('over');
    expect(crowd.gate.isUsed).toBe(false);
  });
});
