import { execFile } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  chownSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { StorageOpenError } from '../errors.js';
import type { NativeDirectory } from './binaries.js';
import { saysDiskFull } from './server-log.js';
import { asUser, type ServerUser } from './server-user.js';

/** Major version of the programs, and part of the data directory's name: another major cannot read it. */
export const postgresMajor = 18;

export interface Cluster {
  /** Data directory, a real path. */
  readonly data: string;
  readonly native: NativeDirectory;
  readonly user: ServerUser | null;
  /**
   * The data directory as the server is told it. Started by root in a place that its user cannot reach (a home with
   * mode 0700), the server works in its current directory, which it can use because it is put there by root before
   * it gives up root's rights; `/proc/self/cwd` is a name for it that needs no rights on the directories above. So
   * the data always lie where the user wanted them.
   */
  readonly dataArgument: string;
}

/** Of every process around the server: nothing inherited that could change what PostgreSQL does (`PG…`, `LC_…`). */
export const serverEnvironment = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

const execute = promisify(execFile);

/**
 * Creates the database cluster where there is none: under another name first, so that a kill half way leaves nothing
 * that looks like a cluster.
 */
export async function createCluster(cluster: Cluster): Promise<void> {
  const { data, user } = cluster;
  const versionFile = path.join(data, 'PG_VERSION');
  if (existsSync(versionFile)) {
    const version = readFileSync(versionFile, 'utf8').trim();
    if (version === String(postgresMajor)) return;
    throw new StorageOpenError(
      `${data} was made by PostgreSQL ${version}, this program comes with ${postgresMajor}: use the version of parzen ` +
        'that made it, or another directory with --storage',
    );
  }
  const scratch = `${data}.new`;
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch, { mode: 0o700 });
  if (user !== null) chownSync(scratch, user.uid, user.gid);
  await initialise(cluster, scratch);
  rmSync(data, { recursive: true, force: true });
  renameSync(scratch, data);
  syncDirectory(path.dirname(data));
}

async function initialise({ data, native, user, dataArgument }: Cluster, scratch: string): Promise<void> {
  const where = dataArgument === data ? scratch : dataArgument;
  const options = [
    '-D',
    where,
    '-U',
    'postgres',
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--locale=C',
    '--no-instructions',
  ];
  try {
    await execute(path.join(native, 'bin', 'initdb'), options, {
      ...asUser(user),
      cwd: scratch,
      env: serverEnvironment,
    });
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    const line = said.split('\n').find((each) => /FATAL|PANIC|ERROR|initdb: error/.test(each)) ?? said.trim();
    rmSync(scratch, { recursive: true, force: true });
    throw new StorageOpenError(
      saysDiskFull(said)
        ? `no space for a database in ${path.dirname(data)} (about 40 MB): free some, or choose another --storage`
        : `no database could be created in ${path.dirname(data)}: ${line}`,
      { cause: error },
    );
  }
}

/** Makes a rename durable. */
function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
