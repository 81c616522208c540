/** Access tokens. The secret is random, 256 bits, and kept nowhere: its SHA-256 is what can be looked up. */
export const tokensSchema = `
create table parzen.tokens (
  id bigint generated always as identity primary key,
  name text collate "C" not null unique,
  role text not null check (role in ('worker', 'read', 'admin')),
  sha256 text collate "C" not null unique check (sha256 ~ '^[0-9a-f]{64}$'),
  created_at_ms bigint not null,
  revoked_at_ms bigint
);
`;
