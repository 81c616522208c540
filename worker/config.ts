import path from 'node:path';
import type { ChannelSecurity } from '../shared/wire/channel.js';
import type { LogLevel } from '../shared/platform/log.js';

/** What a worker was told. Read once in `main.ts`, frozen. */
export interface WorkerConfig {
  /** `host:port` of the coordinator, or `dns:///host:port` of several. */
  readonly coordinator: string;
  /** TLS and token for it. */
  readonly security?: ChannelSecurity;
  /** Work only for this study; null for any. */
  readonly study: string | null;
  /** Other programs use the GPU's memory as well. */
  readonly sharedGpu?: boolean;
  /** Trials at once; each has a trainer process of its own. */
  readonly slots: number;
  /** Training runtime: `auto` or a name. */
  readonly runtime: string;
  /** Memory of the machine that one trial may use, bytes; an equal share of all of it when not given. */
  readonly slotMemoryBytes?: number;
  /** Where fetched data sets are kept, by hash. */
  readonly cacheDirectory: string;
  /** … and where when nothing can be written there; null: nowhere. */
  readonly fallbackCacheDirectory: string | null;
  /** File that acknowledged results are appended to; none when not given. */
  readonly journal?: string;
  /** Told to stop, running trials may go on for this long, ms; then they are given back. */
  readonly drainMs: number;
  /** The next trial is asked for while one runs that is shorter than this many round trips; 0: never. */
  readonly aheadRoundTrips: number;
  /** End when standard input closes: the process that started this worker is gone. */
  readonly exitWithParent: boolean;
  readonly logLevel: LogLevel;
  readonly logFormat: 'json' | 'text';
}

/** `$PARZEN_CACHE`, else the user's cache folder. */
export function defaultCacheDirectory(
  environment: Readonly<Record<string, string | undefined>>,
  home: string,
): string {
  const explicit = environment['PARZEN_CACHE'];
  if (explicit !== undefined && explicit !== '') return explicit;
  const base = environment['XDG_CACHE_HOME'];
  return path.join(base !== undefined && base !== '' ? base : path.join(home, '.cache'), 'parzen');
}

/** A folder of the user's own in the temporary folder; null when `$PARZEN_CACHE` names the only one wanted. */
export function fallbackCacheDirectory(
  environment: Readonly<Record<string, string | undefined>>,
  temporary: string,
): string | null {
  const explicit = environment['PARZEN_CACHE'];
  if (explicit !== undefined && explicit !== '') return null;
  return path.join(temporary, `parzen-${process.getuid?.() ?? 'user'}`);
}
