import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openJournal, type JournalEntry } from './journal.js';
import { WorkerUnfit } from './worker-unfit.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'parzen-journal-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const entry = (trial: number, metrics = {}): JournalEntry => ({
  ...{ worker: 'w', study: 's', trial, attempt: 1, token: `t${trial}`, outcome: 'done', metrics },
  answer: 'recorded',
});

it('keeps what was there, one line an entry, numbers that JSON lacks as words', () => {
  const file = path.join(directory, 'journal');
  for (const trial of [0, 1]) {
    const journal = openJournal(file, () => 0);
    journal.append(entry(trial, { auc: 0.5, loss: NaN, worst: -Infinity }));
    journal.close();
  }
  const lines = readFileSync(file, 'utf8').split('\n');
  expect(lines.pop()).toBe('');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(
    [0, 1].map((trial) => ({
      time: '1970-01-01T00:00:00.000Z',
      ...entry(trial, { auc: 0.5, loss: 'NaN', worst: '-Infinity' }),
    })),
  );
});

it('says what to do when the file cannot be written', () => {
  const open = () => openJournal(directory, () => 0);
  expect(open).toThrow(WorkerUnfit);
  expect(open).toThrow(/--journal/);
});
