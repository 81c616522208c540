/** A data set that is uploaded is held in memory until its hash is known, bytes. */
export const uploadBytesMax = 256 * 1024 * 1024;
/** Calls that one connection may have open: more than any worker or tool of ours holds. */
export const concurrentStreamsMax = 1_024;
/** Time for calls under way to end when the server stops, ms; then they are cut. */
export const shutdownGraceMs = 5_000;
