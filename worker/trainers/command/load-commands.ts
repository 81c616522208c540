import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { trainersFileBytesMax } from '../../limits.js';
import type { CommandDefinition, CommandTrainers } from './definition.js';
import { parseCommands } from './parse-commands.js';

/** The trainers file cannot be used; the message names every mistake. */
export class CommandFileError extends Error {
  override readonly name = 'CommandFileError';
}

const isFolder = (directory: string): boolean =>
  statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true;

function isProgram(file: string): boolean {
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) return false;
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    // Not executable for us.
    return false;
  }
}

/** What would keep a program from starting, or null. A name without a slash is searched on PATH, as the system does. */
function obstacle({ name, command, cwd, env }: CommandDefinition, searchPath: string): string | null {
  if (!isFolder(cwd)) return `${name}.cwd: there is no folder ${cwd}`;
  const [program = ''] = command;
  if (program.includes('/')) {
    const file = path.resolve(cwd, program);
    return isProgram(file) ? null : `${name}.command: ${file} is not an executable file`;
  }
  const folders = (env['PATH'] ?? searchPath).split(path.delimiter).filter((folder) => folder !== '');
  if (folders.some((folder) => isProgram(path.resolve(cwd, folder, program)))) return null;
  return `${name}.command: there is no program '${program}' on PATH`;
}

function readText(file: string): string {
  try {
    const { size } = statSync(file);
    if (size > trainersFileBytesMax)
      throw new CommandFileError(`${file}: larger than ${trainersFileBytesMax} bytes; is it the right file?`);
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof CommandFileError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandFileError(`the trainers file cannot be read: ${reason}`, { cause: error });
  }
}

/**
 * The programs that a trainers file allows. Throws `CommandFileError` with every mistake in it, and with every program that
 * could not start here: better now than when a trial has been leased.
 */
export function loadCommands(
  file: string,
  options: { readonly reserved: readonly string[]; readonly searchPath: string },
): CommandTrainers {
  const base = path.dirname(path.resolve(file));
  const parsed = parseCommands(readText(file), { file, base, reserved: options.reserved });
  if (!parsed.ok) throw new CommandFileError(parsed.problems.join('\n'));
  const obstacles = [...parsed.commands.values()]
    .map((definition) => obstacle(definition, options.searchPath))
    .filter((found) => found !== null);
  if (obstacles.length > 0)
    throw new CommandFileError(obstacles.map((found) => `${file}: ${found}`).join('\n'));
  return parsed.commands;
}
