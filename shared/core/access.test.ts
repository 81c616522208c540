import { describe, expect, it } from 'vitest';
import { isRole, permits, roles } from './access.js';

describe('roles', () => {
  it('open what they are for; an admin may also read', () => {
    const opened = roles.map((held) => roles.filter((needed) => permits(held, needed)));
    expect(opened).toEqual([['worker'], ['read'], ['read', 'admin']]);
  });

  it('are three words', () => {
    expect(roles.every(isRole)).toBe(true);
    expect(['', 'Admin', 'root', 'constructor'].some(isRole)).toBe(false);
  });
});
