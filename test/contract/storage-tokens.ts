import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Role } from '../../shared/core/access.js';
import { t0, type CurrentStorage } from './storage-fixtures.js';

const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');

export function describeTokens(storage: CurrentStorage): void {
  const put = (name: string, role: Role, createdAtMs = t0): Promise<boolean> =>
    storage().putToken({ name, role, sha256: hashOf(name), createdAtMs });

  describe('tokens', () => {
    it('are found by hash, listed in order, and revoked for good', async () => {
      expect(await put('ops', 'admin')).toBe(true);
      expect(await put("robert'); drop table tokens;--", 'worker', t0 + 1)).toBe(true);
      const ops = { name: 'ops', role: 'admin', createdAtMs: t0, revokedAtMs: null };
      expect(await storage().findToken(hashOf('ops'))).toEqual(ops);
      expect(await storage().findToken(hashOf('somebody'))).toBeNull();
      expect(await storage().findToken('')).toBeNull();
      expect(await storage().revokeToken('ops', t0 + 5)).toBe(true);
      expect(await storage().revokeToken('ops', t0 + 9)).toBe(true);
      expect(await storage().revokeToken('somebody', t0)).toBe(false);
      expect(await storage().findToken(hashOf('ops'))).toEqual({ ...ops, revokedAtMs: t0 + 5 });
      const listed = await storage().listTokens();
      expect(listed.map(({ name, role, revokedAtMs }) => [name, role, revokedAtMs])).toEqual([
        ['ops', 'admin', t0 + 5],
        ["robert'); drop table tokens;--", 'worker', null],
      ]);
      expect(JSON.stringify(listed)).not.toContain(hashOf('ops'));
    });

    it('keep their name, also when revoked', async () => {
      expect(await put('a', 'read')).toBe(true);
      await storage().revokeToken('a', t0);
      const other = { name: 'a', role: 'admin', sha256: hashOf('other'), createdAtMs: t0 } as const;
      expect(await storage().putToken(other)).toBe(false);
      expect(await storage().findToken(hashOf('other'))).toBeNull();
    });
  });
}
