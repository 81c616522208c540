import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { outliveReader, print } from './print.js';

describe('print', () => {
  afterEach(() => vi.restoreAllMocks());

  it('ends every result with one line end, and prints nothing for a result without lines', () => {
    const written: unknown[] = [];
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(text) > 0);
    for (const text of ['one', 'two\n', '']) print(text);
    expect(written).toEqual(['one\n', 'two\n']);
  });
});

describe('outliveReader', () => {
  const fail = (code: string): (() => void) => {
    const stream = new PassThrough();
    outliveReader(stream);
    return () => stream.emit('error', Object.assign(new Error(code), { code }));
  };

  it('bears a reader that went away, and no other failure', () => {
    expect(fail('EPIPE')).not.toThrow();
    expect(fail('ENOSPC')).toThrow('ENOSPC');
  });
});
