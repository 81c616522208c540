/**
 * Whether a worker shares its GPU's memory with others, and whether it is about to stop. Workers that registered before, and those
 * that register with a replica of the version before, do neither.
 */
export const workerStates = `
alter table parzen.workers
  add column shared_gpu boolean not null default false,
  add column draining boolean not null default false;
`;
