/** Bounds of the worker, with their reasons. */

/** A coordinator holds an ask this long before it says "nothing", ms. Below the contract's maximum. */
export const askWaitMs = 20_000;
/** Deadlines of calls, ms. */
export const askDeadlineMs = askWaitMs + 5_000;
export const tellDeadlineMs = 10_000;
export const shortCallDeadlineMs = 5_000;
/** Pause between asks that were answered at once with "nothing", ms. */
export const idlePauseMs = 1_000;
/** Time for giving trials back when the worker stops, ms; leases expire by themselves after that. */
export const releaseTimeoutMs = 5_000;
/** Time for a trainer process to load its runtime, ms. */
export const trainerStartTimeoutMs = 120_000;
/** Time for a trainer to end by itself after `stop`, ms; then it is killed. */
export const trainerStopGraceMs = 3_000;
/** Kept from a trainer's standard error, characters, to explain its death. */
export const stderrTailMax = 4_000;
/** Time for one data set to arrive, ms. */
export const datasetDeadlineMs = 600_000;
/** How often a worker says that it cannot reach its coordinator, ms. */
export const complaintIntervalMs = 10_000;
