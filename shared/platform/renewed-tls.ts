/**
 * Certificates are renewed while programs run: cert-manager writes new files some weeks before the old ones expire. The files are
 * read again and again, because what a Secret's volume changes is a link two folders up.
 */
import { readFileSync } from 'node:fs';
import type { Clock } from './clock.js';
import type { Log } from './log.js';
import { SecretFileError, readServerTls, type ServerTls, type ServerTlsFiles } from './tls.js';

/** How often files are looked at, ms. */
export const tlsCheckIntervalMs = 30_000;

export interface TlsWatch {
  readonly files: ServerTlsFiles;
  readonly clock: Clock;
  readonly log: Log;
  /** Called with what the files say by now. */
  readonly renew: (tls: ServerTls) => void;
  readonly over: AbortSignal;
}

/** Passes on changed files until `over` aborts. Files that cannot be used change nothing; the log says so. Never rejects. */
export async function watchServerTls({ files, clock, log, renew, over }: TlsWatch): Promise<void> {
  let seen = contentOf(files);
  for (;;) {
    await clock.sleep(tlsCheckIntervalMs, over);
    if (over.aborted) return;
    const now = contentOf(files);
    if (now === seen) continue;
    seen = now;
    try {
      renew(readServerTls(files, clock.nowMs()));
      log.info({ certificate: files.cert }, 'the certificate was renewed; new connections get the new one');
    } catch (error) {
      if (!(error instanceof SecretFileError)) throw error;
      log.warn({ reason: error.message }, 'changed TLS files cannot be used; those from before stay in use');
    }
  }
}

/** All the files say; '' for one that cannot be read. */
function contentOf({ cert, key, clientCa }: ServerTlsFiles): string {
  const text = (file: string | undefined): string => {
    try {
      return file === undefined ? '' : readFileSync(file, 'utf8');
    } catch {
      return '';
    }
  };
  return [cert, key, clientCa].map(text).join('\0');
}
