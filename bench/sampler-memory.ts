/**
 * What the projection of a long study takes: run by bench/sampler.ts in a process of its own, with `--expose-gc`. Prints one
 * JSON line. The trials come page by page as from a database, copied, so that whatever the projection keeps of them counts.
 */
import { History } from '../coordinator/app/history.js';
import type { StudyTransaction, TrialRecord } from '../coordinator/storage/port.js';
import { sharedScreenMemory } from '../shared/core/sampler/projection/screen-memory.js';
import type { RunningTrial, TpeRules } from '../shared/core/sampler/sampler.js';
import type { StudyDefinition } from '../shared/core/study/definition.js';
import { v6History, v6Score, v6Settings, v6Space } from './sampler-study.js';

export interface MemoryFigures {
  readonly rules: TpeRules;
  readonly finished: number;
  /** Heap and buffers that the projection keeps alive, and the memory of the inner loops, which all studies share. */
  readonly keptMb: number;
  readonly sharedMb: number;
  /** Time to fold everything in, and for the first suggestion after that. */
  readonly foldMs: number;
  readonly firstMs: number;
}

function usedBytes(): number {
  if (globalThis.gc === undefined) throw new Error('node must be started with --expose-gc');
  // Finalisers of buffers run between two collections.
  for (let i = 0; i < 3; i++) globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** A transaction that knows nothing but finished trials. */
function transactionOf(finished: number, trials: readonly TrialRecord[]): StudyTransaction {
  const known = {
    commitment: { finishSequenceBefore: finished },
    study: () => ({ finishSequence: finished }) as ReturnType<StudyTransaction['study']>,
    finishedAfter: (after: number, limit: number) =>
      Promise.resolve(
        JSON.parse(JSON.stringify(trials.slice(after, Math.min(after + limit, finished)))) as TrialRecord[],
      ),
  };
  return known as unknown as StudyTransaction;
}

async function measure(rules: TpeRules, finished: number): Promise<MemoryFigures> {
  const records = v6History(finished, 64).map((trial, i) => ({
    ...{ number: trial.number, state: trial.state, params: trial.params, reason: 'finished', metrics: {} },
    values: trial.state === 'COMPLETE' ? trial.values : [],
    lastReport: trial.state === 'PRUNED' ? { step: 1, metrics: { score: v6Score(trial.params) } } : null,
    finishSequence: i + 1,
  })) as unknown as TrialRecord[];
  const definition = {
    space: v6Space,
    objectives: [{ direction: 'maximize', weights: { score: 1 } }],
    sampler: { ...v6Settings, rules },
  } as unknown as StudyDefinition;
  const before = usedBytes();
  const start = performance.now();
  const history = new History(definition);
  await history.refresh(transactionOf(finished, records));
  const foldMs = performance.now() - start;
  const running: RunningTrial[] = [];
  const first = performance.now();
  let firstMs = 0;
  for (let number = 1e6; number < 1e6 + 64; number++) {
    running.push({ number, params: history.sampler.suggest({ number, running }) });
    if (firstMs === 0) firstMs = performance.now() - first;
  }
  const keptMb = (usedBytes() - before) / 1e6;
  const sharedMb = sharedScreenMemory().byteLength / 1e6;
  if (history.best.length === 0) throw new Error('nothing was folded in');
  return { rules, finished, keptMb, sharedMb, foldMs, firstMs };
}

const [rules = 'optuna-4', finished = '100000'] = process.argv.slice(2);
console.log(JSON.stringify(await measure(rules as TpeRules, Number(finished))));
