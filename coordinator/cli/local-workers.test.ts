import { expect, it } from 'vitest';
import { environmentOfWorker } from './local-workers.js';

it('local workers learn neither the password of the store nor how their coordinator is reached and watched', () => {
  const kept = { PATH: '/bin', PARZEN_CACHE: '/cache', PARZEN_LOG_LEVEL: 'debug' };
  const ours = {
    ...kept,
    PARZEN_STORAGE: 'postgres://me:S3CRET@db/parzen',
    PARZEN_TLS_CA: 'elsewhere.crt',
    PARZEN_METRICS: '127.0.0.1:9464',
    PARZEN_INSECURE_METRICS: 'true',
  };
  expect(environmentOfWorker(ours)).toEqual(kept);
});
