import type { Statement } from './statement.js';

const columns = `
  dataset.hash, dataset.layout, dataset.rows, dataset.first_time_ms, dataset.last_time_ms, dataset.bytes,
  dataset.created_at_ms, (select named.name from parzen.dataset_names named where named.hash = dataset.hash
                          order by named.stored_order desc limit 1) as name`;

/** No row when the hash is known. Waits for another transaction that stores the same data set. */
export const insertDataset: Statement = {
  name: 'insert_dataset',
  text: `
insert into parzen.datasets (hash, layout, rows, first_time_ms, last_time_ms, bytes, created_at_ms)
values ($1, $2, $3, $4, $5, $6, $7) on conflict (hash) do nothing returning hash`,
};

/** Makes this the newest use of the name, also when the data set had it before. */
export const nameDataset: Statement = {
  name: 'name_dataset',
  text: `
insert into parzen.dataset_names (name, hash) values ($1, $2)
on conflict (name, hash) do update set stored_order = default`,
};

export const insertChunk: Statement = {
  name: 'insert_chunk',
  text: `insert into parzen.dataset_chunks (hash, ordinal, content) values ($1, $2, $3)`,
};

export const readChunk: Statement = {
  name: 'read_chunk',
  text: `select content from parzen.dataset_chunks where hash = $1 and ordinal = $2`,
};

/** By hash, else by name, else by a unique prefix of the hash; `$2`: `$1` could be such a prefix. */
export const findDataset: Statement = {
  name: 'find_dataset',
  text: `
select ${columns} from parzen.datasets dataset where dataset.hash = coalesce(
  (select hash from parzen.datasets where hash = $1),
  (select hash from parzen.dataset_names where name = $1 order by stored_order desc limit 1),
  (select min(hash) from parzen.datasets where $2 and hash >= $1 and hash < $1 || 'g' having count(*) = 1))`,
};

/** In the order in which they were first stored. */
export const listDatasets: Statement = {
  name: 'list_datasets',
  text: `select ${columns} from parzen.datasets dataset order by stored_order`,
};
