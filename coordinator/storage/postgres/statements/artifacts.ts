import type { Statement } from './statement.js';

/** Keeps a file under a lease that holds, and goes on to hold meanwhile. No row: the lease is lost, nothing was stored. */
export const putArtifact: Statement = {
  name: 'put_artifact',
  text: `
with held as (
  select study_id, number, cancel_requested from parzen.trials where lease_token = $1 for no key update
), stored as (
  insert into parzen.artifacts (study_id, number, name, content_type, sha256, content)
  select study_id, number, $2, $3, $4, $5 from held
  on conflict (study_id, number, name) do update set
    content_type = excluded.content_type, sha256 = excluded.sha256, content = excluded.content
)
select cancel_requested from held`,
};

export const findArtifact: Statement = {
  name: 'find_artifact',
  text: `
select name, content_type as layout, sha256 as hash, content from parzen.artifacts
where study_id = $1 and number = $2::bigint and name = $3`,
};
