import { describe, expect, it } from 'vitest';
import { checkEnvironment } from './environment.js';

describe('the environment', () => {
  it('lets an empty variable be none, and a switch say no', () => {
    const environment = {
      PARZEN_OUT: '',
      PARZEN_DATA: '0',
      PARZEN_JSON: 'False',
      PARZEN_INSECURE: '1',
      OUT: '',
    };
    const switches = ['PARZEN_JSON', 'PARZEN_INSECURE'];
    expect(checkEnvironment(environment, switches)).toEqual({
      unset: ['PARZEN_OUT', 'PARZEN_JSON'],
      problems: [],
    });
    expect(checkEnvironment({ PARZEN_INSECURE: 'maybe' }, switches).problems).toEqual([
      "PARZEN_INSECURE is 'maybe'; give true or false",
    ]);
  });
});
