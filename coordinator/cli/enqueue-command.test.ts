import { Command } from 'commander';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Params } from '../../shared/core/space/parameter.js';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import { smallStudy, testApp } from '../../test/helpers/app.js';
import { localGateway, type StudyGateway } from '../app/study-gateway.js';
import { formatBestConfig, readBestConfig, type BestConfig } from '../../shared/core/study/best-config.js';
import { bestConfigOf } from '../results/best-config.js';
import { createMemoryStorage } from '../storage/memory/create-memory-storage.js';
import { addEnqueueCommand, enqueue, paramsOf } from './enqueue-command.js';
import { parseStudy } from './parse-study.js';

/** A study with one finished trial, and what `export` would write of it. */
async function finishedStudy(): Promise<{ gateway: StudyGateway; config: BestConfig; create: Create }> {
  const app = testApp(createMemoryStorage());
  const gateway = localGateway(app.context, parseStudy);
  await app.create(smallStudy());
  const best: Params = { x: 0.1 + 0.2, c: 'b' };
  await gateway.enqueue('small', { requestId: 'first', params: best });
  const { trials } = await gateway.trials('small', { fromNumber: 0, limit: 1, states: [] });
  const study = await gateway.get('small');
  const trial = { ...trials[0]!, params: best, values: [1] };
  return {
    gateway,
    config: readBestConfig(formatBestConfig(bestConfigOf(study, trial, []))),
    create: (change) => app.create(smallStudy({ name: 'other', ...change })),
  };
}
type Create = (change: Partial<StudyDefinition>) => Promise<void>;

describe('enqueue', () => {
  it('tries a best configuration again, every digit of it', async () => {
    const { gateway, config } = await finishedStudy();
    const before = (await gateway.get('small')).counts.WAITING;
    expect(await enqueue(gateway, 'small', { params: config.params, config })).toEqual({
      number: 1,
      remarks: [],
    });
    expect((await gateway.get('small')).counts.WAITING).toBe(before + 1);
    expect(config.params).toEqual({ x: 0.1 + 0.2, c: 'b' });
  });

  it('refuses parameters that the study does not search, before anything is added', async () => {
    const { gateway, config, create } = await finishedStudy();
    await create({ space: smallStudy().space.slice(0, 1) });
    await expect(enqueue(gateway, 'other', { params: config.params, config })).rejects.toThrow(
      "the configuration is of study 'small' and has parameters that study 'other' does not search: c; " +
        'its parameters are x',
    );
    expect((await gateway.get('other')).counts.WAITING).toBe(0);
  });

  it('says where the trial will differ from the one in the file', async () => {
    const { gateway, config, create } = await finishedStudy();
    const { x, ...rest } = config.params;
    await create({ fixed: { batch: 64 }, trainer: 'hermite' });
    expect(x).toBeDefined();
    const { remarks } = await enqueue(gateway, 'other', {
      params: rest,
      config: { ...config, params: rest },
    });
    expect(remarks).toEqual([
      'the trainer here is hermite, in the file instant',
      'batch is 64 here, in the file 512',
      'not in the file, so sampled: x',
    ]);
  });

  it('names what cannot be read, before it looks for a store', async () => {
    const place = mkdtempSync(path.join(tmpdir(), 'parzen-enqueue-'));
    try {
      const run = async (...args: readonly string[]): Promise<unknown> => {
        const program = new Command().exitOverride();
        addEnqueueCommand(program);
        return program.parseAsync(['enqueue', 'small', ...args], { from: 'user' }).catch(String);
      };
      const file = path.join(place, 'study.yaml');
      writeFileSync(file, 'name: small\n');
      expect(await run('--from', file)).toContain(
        `${file} is no best configuration (the field layout is missing); coordinator export writes one`,
      );
      expect(await run('--from', path.join(place, 'none'))).toContain('cannot be read');
      expect(await run()).toContain('or --from best_config');
    } finally {
      rmSync(place, { recursive: true });
    }
  });

  it('reads a JSON object of plain values', () => {
    expect(paramsOf('{"a": 1, "b": null, "c": "x"}')).toEqual({ a: 1, b: null, c: 'x' });
    for (const text of ['', '[1]', '{"a": [1]}']) expect(() => paramsOf(text)).toThrow(/parameter/);
  });
});
