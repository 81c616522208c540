/** Bounds of the contract; both sides enforce them. */

/** One message, bytes. Data sets and long lists travel in pieces below it. */
export const messageBytesMax = 4 * 1024 * 1024;
/** One piece of a data set, bytes. */
export const chunkBytesMax = 1024 * 1024;
/** A file that a trial leaves, bytes. */
export const artifactBytesMax = 3 * 1024 * 1024;
/** An Ask may be held this long, ms; then it is answered with "nothing". */
export const askWaitMaxMs = 20_000;
/** Ids chosen by callers, characters. */
export const idLengthMax = 128;
/** Names of studies, data sets, metrics and parameters, characters. */
export const nameLengthMax = 256;
/** Error texts of trials, characters; longer ones are cut. */
export const messageLengthMax = 4_096;
/** A study file, characters. */
export const studyFileLengthMax = 1024 * 1024;
/** Metrics of one report or result. */
export const metricsMax = 1_000;
/** Trainers that one worker names. */
export const trainersMax = 1_000;
/** Leases in one heartbeat. */
export const leasesPerHeartbeatMax = 1_024;
/** Trials that one worker runs at once. */
export const slotsMax = 65_536;
/** The budget of a study. */
export const trialsMax = 10_000_000;
