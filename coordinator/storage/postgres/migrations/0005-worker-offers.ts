/**
 * What a worker takes on: the one study that it works for (null: any), the trainers that it can run (none: any). Workers
 * that registered before, and those that register with a replica of the version before, may take anything.
 */
export const workerOffers = `
alter table parzen.workers
  add column study text collate "C",
  add column trainers text[] not null default '{}';
`;
