import type { TokenView } from '../../../shared/core/access.js';
import { canonicalNewToken, canonicalText, canonicalWhole } from '../canonical.js';
import type { NewToken } from '../port.js';

/** Tokens by name, in the order in which they were made. */
export class MemoryTokens {
  readonly #byName = new Map<string, NewToken & TokenView>();

  put(token: NewToken): boolean {
    const stored = canonicalNewToken(token);
    if (this.#byName.has(stored.name)) return false;
    this.#byName.set(stored.name, { ...stored, revokedAtMs: null });
    return true;
  }

  find(sha256: string): TokenView | null {
    for (const token of this.#byName.values()) if (token.sha256 === sha256) return viewOf(token);
    return null;
  }

  list(): readonly TokenView[] {
    return [...this.#byName.values()].map(viewOf);
  }

  revoke(name: string, revokedAtMs: number): boolean {
    const token = this.#byName.get(canonicalText(name));
    if (token === undefined) return false;
    const first = token.revokedAtMs ?? canonicalWhole(revokedAtMs);
    this.#byName.set(token.name, { ...token, revokedAtMs: first });
    return true;
  }
}

const viewOf = ({ name, role, createdAtMs, revokedAtMs }: NewToken & TokenView): TokenView =>
  Object.freeze({ name, role, createdAtMs, revokedAtMs });
