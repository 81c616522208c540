/**
 * An attempt that its worker gave back before it began, or because the worker cannot run trials at all, counts against nothing. It
 * used to be told apart from one that was preempted by its message alone; now it has a reason of its own.
 */
const reasonOf = `case message
    when 'released by a worker that cannot run trials' then 'unfit'
    when 'released before it began' then 'returned'
    else 'preempted' end`;

export const reasonsApart = `
update parzen.trial_attempts set outcome = ${reasonOf} where outcome = 'preempted' and message like 'released %';
update parzen.trials set reason = ${reasonOf} where reason = 'preempted' and message like 'released %';
`;
