/**
 * Promises broken on purpose in running coordinators, so that one can see that chaos finds them: a text in a compiled file and
 * what takes its place. The simulation has many more (test/sim/mutants.ts).
 */
export interface Break {
  /** In `dist/`. */
  readonly file: string;
  /** Occurs exactly once. */
  readonly find: string;
  readonly replace: string;
}

export const breaks = {
  /** A result counts for whoever holds the trial. */
  'no-token-check': {
    file: 'coordinator/app/tell.js',
    find: 'trial.lease?.token !== token',
    replace: 'trial.lease === null',
  },
  'answer-before-commit': {
    file: 'coordinator/storage/study-groups.js',
    find: "return { kind: 'done', value };",
    replace: "member.resolve(value); return { kind: 'done', value };",
  },
  /** Coordinators give out the trials of one study side by side. */
  'no-budget-lock': {
    file: 'coordinator/storage/postgres/statements/studies.js',
    find: '\nfor no key update',
    replace: '',
  },
} as const satisfies Readonly<Record<string, Break>>;

export type BreakName = keyof typeof breaks;

export const isBreak = (name: string): name is BreakName => Object.hasOwn(breaks, name);
