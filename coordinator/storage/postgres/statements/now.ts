import type { Statement } from './statement.js';

/** The time at which it runs, not that of its transaction's beginning. */
export const now: Statement = {
  name: 'now',
  text: `select (extract(epoch from clock_timestamp()) * 1000)::double precision as now_ms`,
};
