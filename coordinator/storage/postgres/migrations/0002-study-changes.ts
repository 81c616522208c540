/**
 * Counts the transactions that changed a study's trials: a coordinator that finds the count where it left it knows that
 * its picture of the running and waiting trials is still true. The study's row is written by each of them, so its long
 * texts, which never change, are moved out of it.
 */
export const studyChanges = `
alter table parzen.studies add column changes bigint not null default 0;
alter table parzen.studies set (toast_tuple_target = 128, fillfactor = 50);
`;
