/**
 * Statements are planned once per connection, maybe while the tables are empty, when every index that begins with the
 * study looks alike. So that a plan cannot take the wrong one, there is none to take: the order of finishing holds only
 * trials that have finished, a condition that a look for a number does not imply, and what an enqueue call made is found by
 * the call's id first.
 *
 * `expect_rows` fails a transaction, on the server, before the commit that was sent behind it.
 *
 * `change_tag` tells apart two changes of a study that have the same count, as after a database was put back to an earlier
 * state: it is random, made anew by each transaction that changes the study.
 */
export const oneWayToARow = `
alter table parzen.trials drop constraint trials_study_id_finish_sequence_key;
create unique index trials_finish_order on parzen.trials (study_id, finish_sequence) where finish_sequence is not null;
drop index parzen.trials_enqueue_request;
create unique index trials_enqueue_request on parzen.trials (enqueue_request_id, study_id)
  where enqueue_request_id is not null;

alter table parzen.studies add column change_tag bigint not null default 0;

create function parzen.expect_rows(expected bigint, changed bigint) returns void language plpgsql as $$
begin
  if changed <> expected then
    raise exception '% of % rows could be changed', changed, expected
      using errcode = 'integrity_constraint_violation', constraint = 'rows_as_read';
  end if;
end $$;
`;
