import { describe, expect, it } from 'vitest';
import { openWarning, refuseOpenListening, type Listening } from './listening.js';

const plain: Listening = {
  ...{ listen: '127.0.0.1:50051', insecure: false, requireTokens: false, tls: null, healthListen: null },
};
const tls = { cert: 'cert', key: 'key' };

describe('listening beyond loopback', () => {
  it.each([
    ['without anything', { listen: '0.0.0.0:50051' }, /open to the network; give --tls-cert/],
    ['with tokens in the clear', { listen: '[::]:50051', requireTokens: true }, /needs TLS/],
  ])('is refused %s', (_, change, message) => {
    expect(() => refuseOpenListening({ ...plain, ...change })).toThrow(message);
  });

  it('is let be by --insecure, which is warned of', () => {
    const open = { ...plain, listen: '0.0.0.0:50051', insecure: true };
    refuseOpenListening(open);
    const warned = /whoever reaches this address can .* delete studies: --insecure/;
    expect(openWarning(open)).toMatch(warned);
    // Nobody is asked for a token then either.
    expect(openWarning({ ...open, tls })).toMatch(warned);
  });

  it.each([
    ['on loopback', { insecure: true }],
    ['with TLS, where tokens are asked for', { listen: '0.0.0.0:50051', tls }],
    [
      'where certificates are asked for',
      { listen: '0.0.0.0:50051', insecure: true, tls: { ...tls, clientCa: 'ca' } },
    ],
  ])('is nothing to warn of %s', (_, change) => {
    refuseOpenListening({ ...plain, ...change });
    expect(openWarning({ ...plain, ...change })).toBeNull();
  });
});
