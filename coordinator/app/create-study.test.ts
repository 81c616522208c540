/** Making a study while others make and delete studies of the same name. */
import { describe, expect, it, vi } from 'vitest';
import { smallStudy, testApp } from '../../test/helpers/app.js';
import { createMemoryStorage } from '../storage/memory/create-memory-storage.js';
import { createStudy } from './create-study.js';
import { deleteStudy, pauseStudy } from './steer-study.js';

const request = { definition: smallStudy(), definitionText: '{}', trials: null, dataset: null };

describe('a study that is deleted while it is resumed', () => {
  it.each(['findStudy', 'inStudy'] as const)('is made anew (gone before %s)', async (method) => {
    const storage = createMemoryStorage();
    const { context } = testApp(storage);
    const first = await createStudy(context, request);
    await pauseStudy(context, 'small');
    const original = storage[method].bind(storage) as (...args: unknown[]) => Promise<never>;
    vi.spyOn(storage, method).mockImplementationOnce(async (...args: unknown[]) => {
      await deleteStudy(context, 'small');
      return original(...args);
    });
    const second = await createStudy(context, request);
    expect([first.created, second.created]).toEqual([true, true]);
    expect(second.study.id).not.toBe(first.study.id);
    vi.restoreAllMocks();
    expect((await createStudy(context, request)).created).toBe(false);
  });
});
