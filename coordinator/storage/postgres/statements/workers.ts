import type { Statement } from './statement.js';

const columns = `
  id, host, gpu_uuid, gpu_name, gpu_memory_bytes, slots, runtime, version, study, trainers,
  shared_gpu, draining, registered_at_ms, last_seen_at_ms`;

/** A worker that registers again keeps the time of its first registration. `$1`: a JSON array, each id once. */
export const putWorkers: Statement = {
  name: 'put_workers',
  text: `
insert into parzen.workers (${columns})
select ${columns} from json_to_recordset($1::json) as given (
  id text, host text, gpu_uuid text, gpu_name text, gpu_memory_bytes bigint, slots integer, runtime text, version text,
  study text, trainers text[], shared_gpu boolean, draining boolean, registered_at_ms bigint, last_seen_at_ms bigint)
order by id
on conflict (id) do update set
  host = excluded.host, gpu_uuid = excluded.gpu_uuid, gpu_name = excluded.gpu_name,
  gpu_memory_bytes = excluded.gpu_memory_bytes, slots = excluded.slots, runtime = excluded.runtime,
  version = excluded.version, study = excluded.study, trainers = excluded.trainers,
  shared_gpu = excluded.shared_gpu, draining = excluded.draining,
  last_seen_at_ms = excluded.last_seen_at_ms`,
};

/**
 * Never backwards: two replicas may hear of the same worker in either order. The rows are locked in one order, so that
 * two of these cannot wait for each other. `$1`: ids, `$2`: times.
 */
export const touchWorkers: Statement = {
  name: 'touch_workers',
  text: `
with seen as (
  select worker.id, given.at from unnest($1::text[], $2::bigint[]) as given (id, at)
  join parzen.workers worker on worker.id = given.id order by worker.id for no key update of worker
)
update parzen.workers worker set last_seen_at_ms = greatest(worker.last_seen_at_ms, seen.at)
from seen where worker.id = seen.id returning worker.id`,
};

export const findWorkers: Statement = {
  name: 'find_workers',
  text: `select ${columns} from parzen.workers where id = any ($1)`,
};

export const listWorkers: Statement = {
  name: 'list_workers',
  text: `select ${columns} from parzen.workers order by registered_at_ms, id`,
};
