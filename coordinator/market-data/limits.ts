/** Bounds of what is taken in from files and from the exchange. */
export const marketDataLimits = {
  /** A kline line has about 160 characters; a longer one is another kind of file. */
  lineBytesMax: 4096,
  /** Twenty years of one-minute bars; the table then takes about 1 GB. */
  rowsMax: 11_000_000,
  /** Size of the pieces in which a data set is stored and sent. */
  chunkBytes: 1024 * 1024,
  /** Rows per request; the exchange gives no more. */
  pageRows: 1000,
  /** A page of 1000 rows has about 200 kB. */
  pageBytesMax: 8 * 1024 * 1024,
  /** Attempts at one page before giving up. */
  attemptsMax: 8,
  /** First wait after a failed attempt, milliseconds; it doubles from attempt to attempt. */
  backoffMs: 500,
  /** Longest wait between attempts, milliseconds. */
  backoffMsMax: 60_000,
  /** Longest wait that the exchange may ask for (Retry-After), milliseconds; beyond it the fetch ends with an error. */
  retryAfterMsMax: 10 * 60_000,
  /** Time for one request, milliseconds. */
  requestTimeoutMs: 30_000,
} as const;
