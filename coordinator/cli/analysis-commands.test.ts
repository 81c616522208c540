/** The commands `importance` and `hypervolume` as they are typed, on standard input and on a running coordinator. */
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { smallStudy, testApp } from '../../test/helpers/app.js';
import { commandOutput } from '../../test/helpers/typed-command.js';
import { localGateway } from '../app/study-gateway.js';
import { tell } from '../app/tell.js';
import { startGrpcServer } from '../grpc/server.js';
import { createMemoryStorage } from '../storage/memory/create-memory-storage.js';
import { addAnalysisCommands } from './analysis-commands.js';

const output = (args: readonly string[], input: unknown = ''): Promise<string> =>
  commandOutput(addAnalysisCommands, args, typeof input === 'string' ? input : JSON.stringify(input));

/** The PED-ANOVA figures of tpe.md §17: all of it is x. */
const golden = {
  space: [
    { name: 'x', low: 0, high: 1 },
    { name: 'c', choices: ['a', 'b'] },
  ],
  trials: Array.from({ length: 20 }, (_, i) => ({
    state: 'COMPLETE',
    params: { x: i / 19, c: i % 2 === 0 ? 'a' : 'b' },
    values: [Math.abs(i - 3) + 0.01 * i],
  })),
};
const front = {
  space: [{ name: 'x', low: 0, high: 1 }],
  directions: ['minimize', 'maximize'],
  trials: [[1, -3], [2, -2], [3, -1]].map((values) => ({ state: 'COMPLETE', params: { x: 0.5 }, values })), // prettier-ignore
};

describe('on standard input', () => {
  it('importance of a history, and of every case of a file', async () => {
    expect(await output(['importance'], golden)).toBe('{"importance":{"x":1,"c":0}}\n');
    const { space, trials } = golden;
    const few = { space: 's', trials: trials.slice(0, 1) };
    expect(await output(['importance'], { spaces: { s: space }, cases: [{ space: 's', trials }, few] })).toBe(
      '{"case":0,"importance":{"x":1,"c":0}}\n{"case":1,"importance":{"x":0.5,"c":0.5}}\n',
    );
    expect(await output(['importance', '--params', 'c'], golden)).toBe('{"importance":{"c":1}}\n');
  });

  it('importance by fanova: shares of a whole, the same for the same seed', async () => {
    const first = await output(['importance', '--evaluator', 'fanova', '--seed', '7'], golden);
    expect(await output(['importance', '--evaluator', 'fanova', '--seed', '7'], golden)).toBe(first);
    const { importance } = JSON.parse(first) as { importance: Record<string, number> };
    expect(importance['x']).toBeGreaterThan(0.8);
    expect((importance['x'] ?? 0) + (importance['c'] ?? 0)).toBeCloseTo(1, 12);
  });

  it('hypervolume of a history, with and without a reference', async () => {
    expect(await output(['hypervolume', '--reference', '4,-4'], front)).toBe(
      '{"hypervolume":6,"reference":[4,-4]}\n',
    );
    expect(JSON.parse(await output(['hypervolume'], front))).toMatchObject({ reference: [3.3000000000000003, -3.3000000000000003] }); // prettier-ignore
  });

  it('one clear error for what cannot be', async () => {
    await expect(output(['importance'], '{')).rejects.toThrow(/JSON/);
    await expect(output(['importance', '--params', 'z'], golden)).rejects.toThrow(/z/);
    await expect(output(['importance', '--evaluator', 'fanova'], front)).rejects.toThrow('--objective');
    await expect(output(['importance', '--objective', '2'], front)).rejects.toThrow('no objective 2');
    await expect(output(['hypervolume', '--reference', '4'], front)).rejects.toThrow('has 1 values');
    await expect(output(['hypervolume', '--reference', '2,-4'], { spaces: {}, cases: [front] })).rejects.toThrow(/cases\[0\].*worse than the reference/); // prettier-ignore
  });
});

describe('on the trials of a study', () => {
  let stop = (): Promise<void> => Promise.resolve();
  afterEach(() => stop());

  it('asks the coordinator, and prints text or JSON', async () => {
    const app = testApp(createMemoryStorage());
    const server = await startGrpcServer({
      context: app.context,
      gateway: localGateway(app.context, () => ({ kind: 'problems', text: '' })),
      listen: '127.0.0.1:0',
      protoDirectory: path.resolve(import.meta.dirname, '../../proto'),
    });
    stop = () => server.stop();
    const on = ['small', '--coordinator', server.address];
    await app.register('w1');
    const objectives = (['auc', 'loss'] as const).map((name) => ({
      ...{ name, weights: { [name]: 1 } },
      direction: name === 'auc' ? ('maximize' as const) : ('minimize' as const),
    }));
    const enqueue = [0.1, 0.5, 0.9].map((x) => ({ x, c: 'a' }));
    await app.create(smallStudy({ objectives, enqueue, trials: 4 }));
    await expect(output(['hypervolume', ...on])).rejects.toThrow('no complete trial yet');
    for (const metrics of [
      { auc: 0.5, loss: 1 },
      { auc: 0.75, loss: 2 },
      { auc: 0.25, loss: 3 },
    ]) {
      const asked = await app.ask();
      if (asked.kind !== 'assigned') throw new Error(asked.reason);
      const { token } = asked.assignment;
      await tell(app.context, { token, outcome: { kind: 'completed', metrics }, peakMemoryBytes: null });
    }
    // (0.5 − 0)(4 − 1) + (0.75 − 0.5)(4 − 2); the third is dominated.
    const volume = await output(['hypervolume', ...on, '--reference', '0,4']);
    expect(volume).toBe('hypervolume 2 with respect to 0, 4\n');
    expect(JSON.parse(await output(['hypervolume', ...on, '--reference', '0,4', '--json']))).toEqual({
      hypervolume: 2,
      reference: [0, 4],
    });
    const shares = await output(['importance', ...on, '--objective', '0']);
    expect(shares.split('\n').map((line) => line.split(/ +/)[0])).toEqual(['PARAMETER', 'x', 'c', '']);
    await expect(output(['importance', 'absent', ...on.slice(1)])).rejects.toThrow("'absent'");
  });
});
