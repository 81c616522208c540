import fc from 'fast-check';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { AssertionError } from '../../../shared/core/assert.js';
import { StorageUnavailable } from '../port.js';
import { kindOf, toPortError, type FailureKind } from './failure.js';
import { decodeMetrics, encodeMetrics } from './metrics-json.js';
import { retrying } from './retry.js';

function serverError(code: string, message = 'said the server'): pg.DatabaseError {
  const error = new pg.DatabaseError(message, 0, 'error');
  error.code = code;
  return error;
}

const systemError = (code: string): Error => Object.assign(new Error(`connect ${code}`), { code });

describe('what a failure means', () => {
  const cases: Readonly<Record<FailureKind, readonly Error[]>> = {
    conflict: ['40001', '40P01', '55P03'].map((code) => serverError(code)),
    connection: [
      ...['08006', '57P01', '57P02', '57P03', '53300', '25P03'].map((code) => serverError(code)),
      ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOENT', 'ENOTFOUND'].map(systemError),
      new Error('Connection terminated unexpectedly'),
      new Error('Connection terminated due to connection timeout'),
      new Error('timeout exceeded when trying to connect'),
      new Error('Client has encountered a connection error and is not queryable'),
      new Error('Query read timeout'),
    ],
    refused: ['57014', '53100', '53200', '58030', 'XX001', '25006', '28P01', '3D000'].map((code) =>
      serverError(code),
    ),
    constraint: ['23505', '23503', '23514'].map((code) => serverError(code)),
    other: [serverError('22003'), serverError('42601'), serverError('25P02'), new Error('some bug')],
  };

  it.each(Object.entries(cases))('%s', (kind, errors) => {
    for (const error of errors) expect([error.message, kindOf(error)]).toEqual([error.message, kind]);
  });

  it('becomes an error of the port', () => {
    for (const kind of ['conflict', 'connection', 'refused'] as const)
      for (const error of cases[kind]) {
        const told = toPortError(error, 'db:1/x');
        expect(told).toBeInstanceOf(StorageUnavailable);
        expect(told).toMatchObject({ cause: error, message: expect.stringContaining('db:1/x') as string });
      }
    for (const error of cases.constraint) expect(toPortError(error, 'x')).toBeInstanceOf(AssertionError);
    for (const error of cases.other) expect(toPortError(error, 'x')).toBe(error);
    expect(toPortError('text', 'x')).toBe('text');
  });
});

describe('retrying', () => {
  it('runs again while asked to', async () => {
    let runs = 0;
    const failing = (until: number) => () => {
      runs += 1;
      return runs < until ? Promise.reject(new Error(`run ${runs}`)) : Promise.resolve(runs);
    };
    expect(await retrying(failing(3), () => true)).toBe(3);
    runs = 0;
    await expect(retrying(failing(3), () => false)).rejects.toThrow('run 1');
  });
});

describe('metrics as JSON', () => {
  it('survive with every number that there is', () => {
    const numbers = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, -Infinity, 0, 5e-324, 1e308));
    fc.assert(
      fc.property(fc.dictionary(fc.string(), numbers), (metrics) => {
        const positive = Object.fromEntries(
          Object.entries(metrics).map(([name, value]) => [name, value + 0]),
        );
        const stored = JSON.parse(encodeMetrics(positive)) as Record<string, number | string>;
        expect(decodeMetrics(stored)).toEqual(positive);
      }),
    );
  });

  it('hold nothing but numbers', () => {
    expect(() => decodeMetrics({ a: 'nan' })).toThrow(/"nan" is not a number/);
  });
});
