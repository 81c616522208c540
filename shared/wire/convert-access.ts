/** Converters of the access service's messages. */
import type { Role, TokenView } from '../core/access.js';
import { InvalidMessage } from './convert.js';
import { Role as WireRole, type Token as WireToken } from './gen/parzen/v1/access.js';

const toWire: Readonly<Record<Role, WireRole>> = {
  worker: WireRole.WORKER,
  read: WireRole.READ,
  admin: WireRole.ADMIN,
};
const fromWire: ReadonlyMap<string, Role> = new Map(
  Object.entries(toWire).map(([role, wire]) => [wire, role as Role]),
);

export const roleToWire = (role: Role): WireRole => toWire[role];

/** Throws `InvalidMessage` for a role that is none. */
export function roleFromWire(role: WireRole): Role {
  const known = fromWire.get(role);
  if (known === undefined) throw new InvalidMessage('role must be WORKER, READ or ADMIN');
  return known;
}

export const tokenToWire = ({ name, role, createdAtMs, revokedAtMs }: TokenView): WireToken => ({
  ...{ name, createdAtMs },
  role: roleToWire(role),
  revokedAtMs: revokedAtMs ?? 0,
});

export const tokenFromWire = ({ name, role, createdAtMs, revokedAtMs }: WireToken): TokenView => ({
  ...{ name, createdAtMs },
  role: roleFromWire(role),
  revokedAtMs: revokedAtMs === 0 ? null : revokedAtMs,
});
