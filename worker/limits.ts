/** Bounds of the worker, with their reasons. */

/** A coordinator holds an ask this long before it says "nothing", ms. Below the contract's maximum. */
export const askWaitMs = 20_000;
/** Deadlines of calls, ms. */
export const askDeadlineMs = askWaitMs + 5_000;
export const tellDeadlineMs = 10_000;
/** Times that a file of a trial may be refused, for whatever reason, before its result goes without it. */
export const artifactRefusalsMax = 5;
export const shortCallDeadlineMs = 5_000;
/** … of the last one, which holds up the end of the worker while nobody answers, ms. */
export const farewellDeadlineMs = 1_000;
/** Pause between asks that were answered at once with "nothing", ms. */
export const idlePauseMs = 1_000;
/** Time for giving a trial back, ms; leases expire by themselves after that. */
export const releaseTimeoutMs = 5_000;
/**
 * A worker that is told to stop lets its trials run on for this long by default, ms, then gives them back. With the time
 * for a trainer to stop they are requeued within 10 s, and with the time for giving back the whole stop takes less than 15 s,
 * what preemptible machines grant at least.
 */
export const drainDefaultMs = 6_000;
/** The next trial is asked for while one runs that is shorter than this many round trips to the coordinator, by default. */
export const aheadRoundTripsDefault = 10;
/** Weight of the newest round trip in their smoothed length. */
export const roundTripSmoothing = 0.2;
/** A trial that was asked for ahead waits this many times as long as a trial counts as short, and at least this long, ms. */
export const aheadHoldFactor = 2;
export const aheadHoldMinMs = 200;
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
/** A file of command trainers, bytes; a larger one is some other file. */
export const trainersFileBytesMax = 1024 * 1024;
/** A line that a program prints, characters; a longer one is read in pieces. Fits a thousand metrics. */
export const outputLineLengthMax = 256 * 1024;
/** Kept from a program's output, characters, to explain its end. */
export const outputTailMax = 4_000;
/** Lines of a program's output that reach the worker's log, per second; a program may print millions. */
export const logLinesPerSecondMax = 50;
/** One such line, characters. */
export const logLineLengthMax = 1_000;
/** Time for a program to end after it printed its result, ms; then the result counts and the program is killed. */
export const programEndGraceMs = 10_000;
/** Time for the rest of the output after a program ended: a process that it left behind may hold the pipe open, ms. */
export const programOutputGraceMs = 500;
/** First pause and longest pause between looks at a program's memory, ms; pauses double, so that short trials are seen too. */
export const memoryLookFirstMs = 20;
export const memoryLookMaxMs = 1_000;
/** Time for `nvidia-smi` to answer, ms; a driver in trouble lets it hang. */
export const nvidiaSmiTimeoutMs = 15_000;
/** What it may print, bytes. */
export const nvidiaSmiOutputBytesMax = 1024 * 1024;
/** Between two readings of the GPU for metrics, ms. */
export const gpuReadingIntervalMs = 10_000;
/** Studies with series in a worker's metrics, the ones worked for last. */
export const studiesRememberedMax = 20;
/** … and for how long after the last trial, ms. */
export const studyRememberedMs = 3_600_000;
/** Trials in a row that a worker may fail to even start before it gives up. */
export const unfitMax = 4;
/** Pause after the first of them, ms; it doubles. */
export const unfitPauseMs = 1_000;
/** A file of golden figures, characters; the largest so far has half a million. */
export const goldenFileBytesMax = 256 * 1024 * 1024;
