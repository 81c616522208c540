/**
 * Who may do what. A token has one role: `worker` asks for trials and tells results, `read` looks, `admin` looks and
 * changes. An admin takes no trials: a leaked worker token steers nothing, a leaked admin token forges no result.
 */
export const roles = ['worker', 'read', 'admin'] as const;
export type Role = (typeof roles)[number];

export const isRole = (text: string): text is Role => (roles as readonly string[]).includes(text);

/** Does a token of role `held` open what asks for role `needed`? */
export const permits = (held: Role, needed: Role): boolean =>
  held === needed || (held === 'admin' && needed === 'read');

/** A token as people see it: never the secret, which nobody can look up. */
export interface TokenView {
  /** Unique among all tokens that ever were. */
  readonly name: string;
  readonly role: Role;
  readonly createdAtMs: number;
  /** Null while it is valid. */
  readonly revokedAtMs: number | null;
}
