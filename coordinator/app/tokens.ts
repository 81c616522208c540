import { createHash } from 'node:crypto';
import { permits, type Role, type TokenView } from '../../shared/core/access.js';
import type { AppContext } from './context.js';
import { AppError } from './errors.js';

/** What stands for a secret in the store. */
export const hashOfSecret = (secret: string): string => createHash('sha256').update(secret).digest('hex');

export interface CreatedToken {
  readonly token: TokenView;
  /** Shown once; only its hash is stored. */
  readonly secret: string;
}

/** Makes a token. Throws `already-exists` when the name was ever given to one. */
export async function createToken(context: AppContext, name: string, role: Role): Promise<CreatedToken> {
  const secret = `parzen_${role}_${context.mintSecret()}`;
  const createdAtMs = context.clock.nowMs();
  if (!(await context.storage.putToken({ name, role, sha256: hashOfSecret(secret), createdAtMs })))
    throw new AppError(
      'already-exists',
      `there is, or was, a token named '${name}'; names are not used again, so that logs stay unambiguous: choose another`,
    );
  return { token: { name, role, createdAtMs, revokedAtMs: null }, secret };
}

/** Revokes a token, at every replica within `cacheMs`. Throws `not-found`. */
export async function revokeToken(context: AppContext, name: string): Promise<void> {
  if (!(await context.storage.revokeToken(name, context.clock.nowMs())))
    throw new AppError(
      'not-found',
      `there is no token '${name}'; 'coordinator token list' shows those that exist`,
    );
}

export type AccessDecision =
  | { readonly kind: 'granted'; readonly name: string }
  /** No token, or none that is valid. */
  | { readonly kind: 'unauthenticated'; readonly message: string }
  /** A valid token of another role. */
  | { readonly kind: 'denied'; readonly message: string };

/** How long a looked-up token is believed, ms: a revoked one is refused everywhere after that. */
const cacheMs = 5_000;
/** Valid secrets remembered, and as many that are not; the oldest go first. */
const cacheEntriesMax = 4_096;
/** No token of ours is longer; a longer text is not even hashed. */
const secretLengthMax = 256;

interface Remembered {
  readonly token: TokenView | null;
  readonly untilMs: number;
}

const isValid = (token: TokenView | null): boolean => token !== null && token.revokedAtMs === null;

/** Decides who may call what. Holds nothing but a short-lived cache, and the tokens of this process's own workers. */
export class TokenCheck {
  readonly #context: Pick<AppContext, 'storage' | 'clock'>;
  readonly #own = new Map<string, TokenView>();
  /** Guesses must not push out who is known, so each have their own. */
  readonly #valid = new Map<string, Remembered>();
  readonly #invalid = new Map<string, Remembered>();

  constructor(context: Pick<AppContext, 'storage' | 'clock'>) {
    this.#context = context;
  }

  /** Lets a secret in that is stored nowhere, until this process ends. */
  admit(secret: string, name: string, role: Role): void {
    const createdAtMs = this.#context.clock.nowMs();
    this.#own.set(hashOfSecret(secret), { name, role, createdAtMs, revokedAtMs: null });
  }

  /** Was this secret valid when it was last looked at? Asks nobody. */
  knows(secret: string | null): boolean {
    if (secret === null || secret.length > secretLengthMax) return false;
    const sha256 = hashOfSecret(secret);
    return this.#own.has(sha256) || this.#valid.has(sha256);
  }

  /** May whoever has `secret` (null: nothing) do what asks for `needed`? Throws when the store is unavailable. */
  async decide(secret: string | null, needed: Role): Promise<AccessDecision> {
    if (secret === null || secret.length > secretLengthMax)
      return { kind: 'unauthenticated', message: 'a token is needed: give it with --token-file FILE' };
    const token = await this.#find(hashOfSecret(secret));
    if (token === null || !isValid(token))
      return { kind: 'unauthenticated', message: 'the token is unknown or revoked' };
    if (!permits(token.role, needed))
      return {
        kind: 'denied',
        message: `token '${token.name}' has role ${token.role}; this call needs ${needed}`,
      };
    return { kind: 'granted', name: token.name };
  }

  async #find(sha256: string): Promise<TokenView | null> {
    const own = this.#own.get(sha256);
    if (own !== undefined) return own;
    const { clock, storage } = this.#context;
    const known = this.#valid.get(sha256) ?? this.#invalid.get(sha256);
    if (known !== undefined && known.untilMs > clock.nowMs()) return known.token;
    const token = await storage.findToken(sha256);
    this.#valid.delete(sha256);
    this.#invalid.delete(sha256);
    const remembered = isValid(token) ? this.#valid : this.#invalid;
    if (remembered.size >= cacheEntriesMax) forgetOldest(remembered);
    remembered.set(sha256, { token, untilMs: clock.nowMs() + cacheMs });
    return token;
  }
}

function forgetOldest(remembered: Map<string, Remembered>): void {
  const [oldest] = remembered.keys();
  if (oldest !== undefined) remembered.delete(oldest);
}
