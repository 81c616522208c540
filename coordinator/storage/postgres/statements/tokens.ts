import type { Statement } from './statement.js';

const columns = `name, role, created_at_ms, revoked_at_ms`;

/** No row is changed when the name is taken. */
export const insertToken: Statement = {
  name: 'insert_token',
  text: `
insert into parzen.tokens (name, role, sha256, created_at_ms) values ($1, $2, $3, $4)
on conflict (name) do nothing`,
};

export const findToken: Statement = {
  name: 'find_token',
  text: `select ${columns} from parzen.tokens where sha256 = $1`,
};

export const listTokens: Statement = {
  name: 'list_tokens',
  text: `select ${columns} from parzen.tokens order by id`,
};

export const revokeToken: Statement = {
  name: 'revoke_token',
  text: `update parzen.tokens set revoked_at_ms = coalesce(revoked_at_ms, $2) where name = $1`,
};
