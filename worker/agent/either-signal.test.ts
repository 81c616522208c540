import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { withEither } from './either-signal.js';

const aborted = (signal: AbortSignal): Promise<unknown> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    signal.addEventListener('abort', () => resolve(signal.reason));
  });

describe('a signal that is either of two', () => {
  it.each([0, 1])('aborts with signal %i, for its reason', async (which) => {
    const controllers = [new AbortController(), new AbortController()];
    const reason = withEither(
      controllers.map(({ signal }) => signal),
      aborted,
    );
    controllers[which]?.abort('why');
    expect(await reason).toBe('why');
  });

  it('has aborted where one had before', async () => {
    expect(await withEither([AbortSignal.abort('before'), new AbortController().signal], aborted)).toBe(
      'before',
    );
  });

  it('leaves nothing behind, however it was used', async () => {
    const { signal } = new AbortController();
    await withEither([signal], () => Promise.resolve());
    await withEither([signal], () => Promise.reject(new Error('failed'))).catch(() => undefined);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});
