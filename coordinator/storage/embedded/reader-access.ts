/**
 * Who may connect to the embedded database. Through the socket: whoever can enter its directory, which has mode 0700.
 * Through a port on loopback, which is open on request only: the role for Optuna's tools, with a password that lies in a
 * file of mode 0600. Nobody else, so an open port gives the machine's other users nothing.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fchownSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import pg, { type ClientConfig } from 'pg';
import { StorageOpenError } from '../errors.js';
import { optunaReader } from '../postgres/optuna-reader.js';
import type { Cluster } from './cluster.js';
import { loopback } from './server.js';
import type { ServerUser } from './server-user.js';

const accessRules = `# Written by parzen at every start.
local all all trust
host all ${optunaReader} ${loopback}/32 scram-sha-256
`;

/** The server's pg_hba.conf. Call before it starts. */
export function writeAccessRules({ data, user }: Cluster): void {
  replaceFile(path.join(data, 'pg_hba.conf'), accessRules, user);
}

/** @throws StorageOpenError when something else listens there, or this user may not */
export async function refuseBusyPort(port: number): Promise<void> {
  const probe = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once('error', reject);
      probe.listen(port, loopback, resolve);
    });
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new StorageOpenError(
      `port ${port} on ${loopback} cannot be opened (${reason === 'EADDRINUSE' ? 'it is in use' : reason}): ` +
        'give another one with --pg-port',
      { cause: error },
    );
  }
  await new Promise((resolve) => probe.close(resolve));
}

export interface ReaderAccess {
  /** Directory of the store. */
  readonly directory: string;
  readonly port: number;
  /** For `pg`, as a user who may set passwords. */
  readonly connection: ClientConfig;
}

/**
 * Gives the role for Optuna's tools its password, and leaves the URL that contains it in `optuna-url` in the store's
 * directory. The password stays the same from start to start, so what was opened with it goes on. Answers the file.
 */
export async function admitReader({ directory, port, connection }: ReaderAccess): Promise<string> {
  const file = path.join(directory, 'optuna-url');
  const password = passwordIn(file) ?? randomBytes(24).toString('base64url');
  const client = new pg.Client(connection);
  await client.connect();
  try {
    await client.query(`alter role ${optunaReader} password ${pg.escapeLiteral(password)}`);
  } finally {
    await client.end();
  }
  const { database } = client;
  // The driver is named because SQLAlchemy's default for postgresql:// changed from psycopg2 to psycopg with 2.1.
  const url = `postgresql+psycopg2://${optunaReader}:${password}@${loopback}:${port}/${database ?? ''}`;
  replaceFile(file, `${url}\n`, null);
  return file;
}

function passwordIn(file: string): string | null {
  try {
    return /:([\w-]{32})@/.exec(readFileSync(file, 'utf8'))?.[1] ?? null;
  } catch {
    // Absent or unreadable: there will be a new one.
    return null;
  }
}

/** Replaces a file at once, with mode 0600. Never follows a link that somebody laid there. */
function replaceFile(file: string, text: string, owner: ServerUser | null): void {
  const scratch = `${file}.new`;
  rmSync(scratch, { force: true });
  const descriptor = openSync(scratch, 'wx', 0o600);
  try {
    if (owner !== null) fchownSync(descriptor, owner.uid, owner.gid);
    writeSync(descriptor, text);
  } finally {
    closeSync(descriptor);
  }
  renameSync(scratch, file);
}
