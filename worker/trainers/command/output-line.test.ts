import { describe, expect, it } from 'vitest';
import { readOutputLine } from './output-line.js';

describe('a line of output', () => {
  it('with a step is a report', () => {
    expect(readOutputLine('{"step":3,"auc":0.55,"n":1e3}')).toEqual({
      ...{ kind: 'report', step: 3, metrics: { auc: 0.55, n: 1000 } },
    });
    expect(readOutputLine('  {"step": 0}\r')).toEqual({ kind: 'report', step: 0, metrics: {} });
  });

  it('with done is the result', () => {
    expect(readOutputLine('{"done":{"auc":0.5},"peak_memory_bytes":12}')).toEqual({
      ...{ kind: 'done', metrics: { auc: 0.5 }, peakMemoryBytes: 12 },
    });
    expect(readOutputLine('{"done":{}}')).toEqual({ kind: 'done', metrics: {}, peakMemoryBytes: null });
  });

  it('with failed is a reason', () => {
    expect(readOutputLine('{"failed":"diverged","message":"NaN at 3"}')).toEqual({
      ...{ kind: 'failed', reason: 'diverged', message: 'NaN at 3' },
    });
    expect(readOutputLine('{"failed":"oom"}')).toMatchObject({ kind: 'failed', reason: 'oom' });
  });

  it('spells what JSON cannot: as texts, as null, and as Python writes it', () => {
    const metrics = { a: NaN, b: Infinity, c: -Infinity, d: NaN };
    expect(readOutputLine('{"done":{"a":"NaN","b":"Infinity","c":"-Infinity","d":null}}')).toMatchObject({
      metrics,
    });
    expect(readOutputLine('{"done":{"a":NaN,"b":Infinity,"c":-Infinity,"d":NaN}}')).toMatchObject({
      metrics,
    });
    // Inside a text they are text.
    expect(readOutputLine('{"failed":"error","message":"NaN, \\"Infinity\\", -Infinity"}')).toMatchObject({
      message: 'NaN, "Infinity", -Infinity',
    });
  });

  it.each([
    'epoch 3: loss 0.4',
    '',
    '{',
    '{"loss":0.4}',
    '[1,2]',
    '{broken: json}',
    '"done"',
    '{"done":',
    'null',
    '{]}',
  ])('is log otherwise: %s', (text) => {
    expect(readOutputLine(text)).toEqual({ kind: 'log', text });
  });

  it.each([
    ['{"step":1.5,"a":1}', /whole number/],
    ['{"step":-1}', /whole number/],
    ['{"step":"3"}', /whole number/],
    ['{"step":4294967296}', /whole number/],
    ['{"step":1,"auc":"high"}', /metric 'auc' is "high", not a number/],
    ['{"step":1,"auc":[1]}', /not a number/],
    ['{"step":1,"":1}', /printable/],
    [`{"step":1,"${'x'.repeat(300)}":1}`, /printable/],
    ['{"done":3}', /must be an object/],
    ['{"done":{"a":{}}}', /not a number/],
    ['{"done":{},"auc":0.5}', /'auc' beside "done"/],
    ['{"done":{},"peak_memory_bytes":-1}', /whole number of bytes/],
    ['{"failed":"tired"}', /one of oom, diverged, infeasible, error/],
    ['{"failed":"error","message":3}', /must be a text/],
    [`{"done":{${Array.from({ length: 1001 }, (_, i) => `"m${i}":1`).join()}}}`, /at most 1000/],
  ])('is wrong: %.40s', (text, expected) => {
    const line = readOutputLine(text);
    expect(line.kind).toBe('wrong');
    expect(line).toMatchObject({ message: expect.stringMatching(expected) });
  });

  it('cannot reach an object’s prototype by a metric’s name', () => {
    const line = readOutputLine('{"step":1,"__proto__":2,"constructor":3}');
    expect(line).toMatchObject({ kind: 'report' });
    expect(Object.entries(line.kind === 'report' ? line.metrics : {})).toEqual([
      ['__proto__', 2],
      ['constructor', 3],
    ]);
  });
});
