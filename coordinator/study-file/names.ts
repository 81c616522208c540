import { studyFileLimits } from './limits.js';

/** Names that become part of file names and of commands: letters, digits, dot, dash, underscore, not dot or dash first. */
export const nameRule = {
  pattern: new RegExp(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,${studyFileLimits.nameLengthMax - 1}}$`),
  wanted: `a name of at most ${studyFileLimits.nameLengthMax} letters, digits, '_', '.' and '-', beginning with a letter, digit or '_'`,
};

/**
 * Whether a text can name a parameter, metric or objective. Besides the rule above, names that every object has already
 * (`constructor`, `__proto__`) are refused: values are kept in plain objects by name.
 */
export const isUsableName = (name: string): boolean => nameRule.pattern.test(name) && !(name in {});
