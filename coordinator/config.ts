/** Every default of the coordinator, with its unit and reason. */
export const defaults = {
  /** The embedded store, below the current folder. */
  storage: './parzen-data',
  /** Loopback only: beyond it the coordinator refuses without TLS and tokens. */
  listen: '127.0.0.1:50051',
  /** Results of a study. */
  out: './out',
  /** A lease holds this long without a heartbeat, ms: more than three heartbeats and one retry. */
  leaseTtlMs: 45_000,
  /** Between two heartbeats, ms, at this lease time; in proportion for another. */
  heartbeatIntervalMs: 10_000,
  /** A held ask looks at the store at least this often, ms. */
  pollIntervalMs: 1_000,
  /** Expired leases are looked for this often, ms; more often for leases that hold less than nine times as long. */
  reclaimIntervalMs: 5_000,
  /** A worker seen within this time counts as one that may take a trial, ms (architecture §5). */
  workerMemoryMs: 600_000,
  /** What metrics show of the database is read this often, ms … */
  metricsRefreshMs: 15_000,
  /** … and is taken away when it could not be read for this long, ms. */
  metricsStaleMs: 60_000,
  /** Metrics show a study for this long after its last trial finished, ms. */
  metricsFinishedShownMs: 3_600_000,
  /** A study that waits for its data looks for them this often, ms … */
  dataPollIntervalMs: 2_000,
  /** … and says so this often, ms. */
  waitingToldMs: 60_000,
  /** A store whose server is away is tried again this long after a try that took seconds, ms. */
  storagePollIntervalMs: 2_000,
  /** The progress display looks no more often than this, ms. */
  progressIntervalMs: 500,
  /** … and at least this often, for what other replicas did, ms. */
  progressPollMs: 1_000,
  /** Local workers have this long to give their trials back, ms; then they are killed. */
  workerStopGraceMs: 10_000,
  /**
   * Told to stop, a coordinator of a PostgreSQL server is gone after this long, ms, whatever does not answer: a server that
   * stands still would hold it for most of a minute, beyond what Kubernetes and compose wait before they kill.
   */
  stopDeadlineMs: 12_000,
} as const;
