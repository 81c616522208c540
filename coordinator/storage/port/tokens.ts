import type { Role, TokenView } from '../../../shared/core/access.js';

/** A token to be stored: its hash stands for the secret, which is kept nowhere. */
export interface NewToken {
  readonly name: string;
  readonly role: Role;
  /** Lower-case hexadecimal SHA-256 of the secret; unique. */
  readonly sha256: string;
  readonly createdAtMs: number;
}

export interface TokenStore {
  /** Stores a new token. False when the name was ever given to one. */
  putToken(token: NewToken): Promise<boolean>;
  /** The token with this hash, valid or revoked. */
  findToken(sha256: string): Promise<TokenView | null>;
  /** By time of creation, revoked ones included. */
  listTokens(): Promise<readonly TokenView[]>;
  /** Revokes a token for good; its first revocation counts. False when there is no token of that name. */
  revokeToken(name: string, revokedAtMs: number): Promise<boolean>;
}
