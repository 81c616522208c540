/** A data set that is uploaded is held in memory until its hash is known, bytes. */
export const uploadBytesMax = 256 * 1024 * 1024;
/** Calls that one connection may have open: more than any worker or tool of ours holds. */
export const concurrentStreamsMax = 1_024;
/** Time for calls under way to end when the server stops, ms; then they are cut. */
export const shutdownGraceMs = 5_000;

/**
 * The text of a status travels as a header, percent-encoded: this many bytes of it at most. Clients take 8 KiB of headers as a
 * rule, and Node.js ends the whole connection, without a word to its calls, over one header above 64 KiB.
 */
export const detailsBytesMax = 6_000;

/** Per peer (an IP address; a proxy's stands for all behind it): calls open at once, above 2,000 workers' long polls … */
export const openCallsMax = 8_192;
/** … connections, two of each of as many workers and more … */
export const connectionsMax = 8_192;
/** … each with this long for its TLS handshake, ms … */
export const handshakeMs = 10_000;
/** … calls begun per second, about twice what one coordinator answers … */
export const callsPerSecondMax = 20_000;
/** … and refused tokens within a window before more are not even looked at. */
export const refusalsMax = 100;
export const refusalWindowMs = 60_000;
/** Peers remembered. */
export const peersMax = 10_000;
/** Time for a request, or the next piece of an upload, to arrive whole, ms. */
export const requestArrivalMs = 30_000;

/** The store is looked at this often for `ready`, ms … */
export const healthIntervalMs = 5_000;
/** … and counts as away when it has not answered after this, ms. */
export const healthTimeoutMs = 3_000;
