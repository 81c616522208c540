import { randomUUID } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Log } from '../../shared/platform/log.js';
import type { WorkerConfig } from '../config.js';
import { WorkerUnfit } from './worker-unfit.js';

/**
 * The folder for data sets, tried out by writing into it: the configured one, or else the fallback (a user without a home
 * has none to write to). Throws `WorkerUnfit` when neither can be used: better now than trial by trial.
 */
export async function usableCacheDirectory(
  { cacheDirectory, fallbackCacheDirectory }: Pick<WorkerConfig, 'cacheDirectory' | 'fallbackCacheDirectory'>,
  log: Log,
): Promise<string> {
  const problem = await problemWith(cacheDirectory);
  if (problem === null) return cacheDirectory;
  if (fallbackCacheDirectory !== null && (await problemWith(fallbackCacheDirectory)) === null) {
    log.info({ reason: problem, folder: fallbackCacheDirectory }, 'data sets are kept in a temporary folder');
    return fallbackCacheDirectory;
  }
  throw new WorkerUnfit(
    `data sets cannot be kept: ${problem}; name a folder that can be written with PARZEN_CACHE`,
  );
}

/** Larger than the blocks of common file systems, so that a full disk shows. */
const probeBytes = 64 * 1024;

async function problemWith(directory: string): Promise<string | null> {
  const probe = path.join(directory, `probe-${randomUUID()}`);
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeFile(probe, Buffer.alloc(probeBytes));
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await rm(probe, { force: true }).catch(() => undefined);
  }
}
