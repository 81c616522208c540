/** Files that are there whole or not at all, whatever happens while they are written. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';

/** Results could not be written. The message names the path, the cause and the remedy. */
export class ResultsError extends Error {
  override readonly name = 'ResultsError';
}

export interface ResultFile {
  /** Within the directory. */
  readonly name: string;
  readonly pieces: Iterable<string>;
}

export type OpenFile = (file: string) => Promise<FileHandle>;

const openNew: OpenFile = (file) => open(file, 'wx', 0o644);

/**
 * Writes the files into `directory`, which is made if missing. Each goes to a temporary name beside its own, is flushed
 * to the disk and then renamed, so that a reader sees the old file or the new one. Rejects with `ResultsError`.
 */
export async function writeFiles(
  directory: string,
  files: readonly ResultFile[],
  openFile: OpenFile = openNew,
): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
    for (const file of files) await writeAtomically(directory, file, openFile);
  } catch (error) {
    throw describeWriteError(error, directory);
  }
}

async function writeAtomically(directory: string, file: ResultFile, openFile: OpenFile): Promise<void> {
  const target = path.join(directory, file.name);
  const temporary = path.join(directory, `.${file.name}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const handle = await openFile(temporary);
    try {
      for (const piece of file.pieces) await handle.writeFile(piece);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

const writeErrors: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full; free some space or name another directory with --out',
  EDQUOT: 'the disk quota is used up; free some space or name another directory with --out',
  EACCES: 'permission denied; name a directory that you may write to with --out',
  EPERM: 'permission denied; name a directory that you may write to with --out',
  EROFS: 'the file system is read-only; name another directory with --out',
  EEXIST: 'it is a file, not a directory; name another one with --out',
  ENOTDIR: 'a part of the path is a file, not a directory; name another one with --out',
  EISDIR: 'a directory stands where a result file belongs; remove it or name another directory with --out',
  ENAMETOOLONG: 'the path is too long; name a shorter one with --out',
  EIO: 'the disk reports an error; name another directory with --out',
};

function describeWriteError(error: unknown, directory: string): unknown {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error;
  const message = writeErrors[error.code];
  if (message === undefined) return error;
  return new ResultsError(`cannot write results to ${directory}: ${message} (${error.code})`, {
    cause: error,
  });
}
