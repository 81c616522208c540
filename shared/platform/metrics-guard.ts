/** Who may read `/metrics`: the token of a request, and what is answered to those who may not. */
import { createHash, timingSafeEqual } from 'node:crypto';

/** What a reader is answered who is not let in: an HTTP status, and a line that says why. */
export interface MetricsRefusal {
  readonly status: 401 | 403 | 429 | 503;
  readonly message: string;
}

/** Looks at the token of a request (null: none) from an IP address. Null lets the reader in. Does not reject. */
export type MetricsGuard = (token: string | null, peer: string) => Promise<MetricsRefusal | null>;

/** The token of `authorization: Bearer TOKEN`; null without one. */
export const bearerToken = (authorization: string | undefined): string | null =>
  /^Bearer ([!-~]{1,256})$/i.exec(authorization ?? '')?.[1] ?? null;

const hash = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Lets in whoever brings this one token; compared in constant time. For a process without a store of tokens. */
export function oneTokenGuard(token: string): MetricsGuard {
  const wanted = hash(token);
  return (given) => {
    if (given === null)
      return Promise.resolve({ status: 401, message: 'a token is needed: authorization: Bearer TOKEN' });
    return Promise.resolve(
      timingSafeEqual(hash(given), wanted) ? null : { status: 401, message: 'the token is not the one' },
    );
  };
}
