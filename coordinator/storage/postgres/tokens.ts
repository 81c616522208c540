import type { Role, TokenView } from '../../../shared/core/access.js';
import { canonicalNewToken, canonicalText, canonicalWhole } from '../canonical.js';
import type { NewToken } from '../port.js';
import type { Database } from './database.js';
import { execute, query } from './query.js';
import * as statements from './statements/tokens.js';

interface TokenRow {
  readonly name: string;
  readonly role: Role;
  readonly created_at_ms: number;
  readonly revoked_at_ms: number | null;
}

const decodeToken = (row: TokenRow): TokenView => ({
  name: row.name,
  role: row.role,
  createdAtMs: row.created_at_ms,
  revokedAtMs: row.revoked_at_ms,
});

export async function putToken(database: Database, token: NewToken): Promise<boolean> {
  const { name, role, sha256, createdAtMs } = canonicalNewToken(token);
  const inserted = await database.once((client) =>
    execute(client, statements.insertToken, [name, role, sha256, createdAtMs]),
  );
  return inserted > 0;
}

export async function findToken(database: Database, sha256: string): Promise<TokenView | null> {
  const [row] = await database.repeatable('statements', (pool) =>
    query<TokenRow>(pool, statements.findToken, [canonicalText(sha256)]),
  );
  return row === undefined ? null : decodeToken(row);
}

export async function listTokens(database: Database): Promise<readonly TokenView[]> {
  const rows = await database.repeatable('statements', (pool) =>
    query<TokenRow>(pool, statements.listTokens),
  );
  return rows.map(decodeToken);
}

export async function revokeToken(database: Database, name: string, revokedAtMs: number): Promise<boolean> {
  const values = [canonicalText(name), canonicalWhole(revokedAtMs)];
  const revoked = await database.repeatable('statements', (pool) =>
    execute(pool, statements.revokeToken, values),
  );
  return revoked > 0;
}
