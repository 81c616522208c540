import { readFileSync } from 'node:fs';
import { StorageOpenError } from '../errors.js';

/** Who the server runs as. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

const preferred = ['postgres', 'nobody'];

/**
 * PostgreSQL refuses to run as root: then `postgres`, else `nobody`, of the machine's users. Null: run as the user that
 * we are.
 */
export function serverUser(passwdFile = '/etc/passwd'): ServerUser | null {
  if (process.getuid?.() !== 0) return null;
  const users = readFileSync(passwdFile, 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }));
  for (const name of preferred) {
    const user = users.find((each) => each.name === name && each.uid > 0);
    if (user !== undefined) return user;
  }
  throw new StorageOpenError(
    'PostgreSQL does not run as root, and there is no user "postgres" or "nobody" to run it as: ' +
      'start parzen as an ordinary user, or use a server with --storage postgres://…',
  );
}

/** Options for a child process that runs as this user. */
export const asUser = (user: ServerUser | null): { uid?: number; gid?: number } =>
  user === null ? {} : { uid: user.uid, gid: user.gid };
