import { childTrainers } from '../protocol.js';
import type { CommandTrainers } from './definition.js';
import { loadCommands } from './load-commands.js';

/** The programs of a trainers file; none without one. Throws `CommandFileError` with all that is wrong with it. */
export const allowedCommands = (
  file: string | undefined,
  { PATH: searchPath = '' }: Readonly<Record<string, string | undefined>>,
): CommandTrainers =>
  file === undefined ? new Map() : loadCommands(file, { reserved: childTrainers, searchPath });
