import type { Statement } from './statement.js';

const columns = `
  id, host, gpu_uuid, gpu_name, gpu_memory_bytes, slots, runtime, version, registered_at_ms, last_seen_at_ms`;

/** A worker that registers again keeps the time of its first registration. */
export const putWorker: Statement = {
  name: 'put_worker',
  text: `
insert into parzen.workers (${columns}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (id) do update set
  host = excluded.host, gpu_uuid = excluded.gpu_uuid, gpu_name = excluded.gpu_name,
  gpu_memory_bytes = excluded.gpu_memory_bytes, slots = excluded.slots, runtime = excluded.runtime,
  version = excluded.version, last_seen_at_ms = excluded.last_seen_at_ms`,
};

/** Never backwards: two replicas may hear of the same worker in either order. */
export const touchWorker: Statement = {
  name: 'touch_worker',
  text: `update parzen.workers set last_seen_at_ms = greatest(last_seen_at_ms, $2) where id = $1`,
};

export const listWorkers: Statement = {
  name: 'list_workers',
  text: `select ${columns} from parzen.workers order by registered_at_ms, id`,
};
