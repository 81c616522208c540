import { readFile } from 'node:fs/promises';
import { CommandError } from './command-error.js';

/** The text of a file that the user named, UTF-8; throws a `CommandError` that names it. */
export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CommandError(
      `${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      2,
    );
  }
}
