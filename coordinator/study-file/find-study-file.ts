/** Finds and reads the file of a study, given its path or its name. */
import { readFile, readdir, stat } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { didYouMean } from './did-you-mean.js';
import { studyFileLimits } from './limits.js';

export type FoundStudyFile =
  | { readonly kind: 'found'; readonly path: string; readonly text: string }
  /** What is wrong and what would be right, in one text. `noSuchName`: there is no file for a name; it may be one of a store. */
  | { readonly kind: 'problem'; readonly message: string; readonly noSuchName?: boolean };

export interface SearchOptions {
  /** Directory in which people are; that of the process when absent. */
  readonly cwd?: string;
  /** Directory of the studies that come with the package; found from this file when absent. */
  readonly packageStudies?: string;
}

const extensions = ['.yaml', '.yml'] as const;

/**
 * The study file that a command line names: a path (with a slash or an extension), or a name, looked for in `./studies`
 * and then among the studies of the package. Never rejects for what is wrong with the file system.
 */
export async function findStudyFile(
  nameOrPath: string,
  options: SearchOptions = {},
): Promise<FoundStudyFile> {
  const cwd = options.cwd ?? process.cwd();
  const isPath = /[/\\]/.test(nameOrPath) || extensions.some((extension) => nameOrPath.endsWith(extension));
  if (isPath) return readStudyFile(path.resolve(cwd, nameOrPath), nameOrPath);
  const packageStudies = options.packageStudies ?? path.join(packageRoot(import.meta.dirname), 'studies');
  const folders = [...new Set([path.resolve(cwd, 'studies'), packageStudies])];
  for (const folder of folders) {
    for (const extension of extensions) {
      const file = path.join(folder, nameOrPath + extension);
      if (existsSync(file)) return readStudyFile(file, path.relative(cwd, file));
    }
  }
  return { kind: 'problem', message: await notFoundText(nameOrPath, folders), noSuchName: true };
}

async function notFoundText(name: string, folders: readonly string[]): Promise<string> {
  const known = new Set<string>();
  for (const folder of folders) for (const study of await studiesIn(folder)) known.add(study);
  const searched = folders.join(' and ');
  if (known.size === 0) return `there is no study file ${name}.yaml in ${searched}; give the path of one`;
  const meant = didYouMean(name, known);
  const hint = meant === null ? '.' : `; did you mean ${meant}?`;
  const list = [...known].sort().join(', ');
  return `there is no study file ${name}.yaml in ${searched}${hint} There are: ${list}. Or give the path of a file.`;
}

async function studiesIn(folder: string): Promise<string[]> {
  if (!existsSync(folder)) return [];
  return (await readdir(folder))
    .filter((file) => extensions.some((extension) => file.endsWith(extension)))
    .map((file) => path.parse(file).name);
}

async function readStudyFile(file: string, named: string): Promise<FoundStudyFile> {
  const problem = (message: string): FoundStudyFile => ({ kind: 'problem', message: `${named}: ${message}` });
  try {
    const stats = await stat(file);
    if (stats.isDirectory()) return problem('is a directory; name a study file in it');
    if (!stats.isFile()) return problem('is not a file; name a study file');
    if (stats.size > studyFileLimits.bytesMax)
      return problem(
        `has ${stats.size} bytes, at most ${studyFileLimits.bytesMax} are read; is it a study file?`,
      );
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file));
    return { kind: 'found', path: file, text };
  } catch (error) {
    // Failures of the file system and of the decoder have a code; what has none is a bug.
    if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') throw error;
    return problem(readProblems[error.code] ?? `cannot be read (${error.message})`);
  }
}

const readProblems: Readonly<Record<string, string>> = {
  ENOENT: 'no such file; give the path of a study file, or the name of one in ./studies',
  ENOTDIR: 'no such file; a part of the path is not a directory',
  EACCES: 'may not be read; check its permissions',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'is not UTF-8 text; save it as such',
};

/** The nearest directory above that holds the package file; differs between the source and the compiled program. */
function packageRoot(from: string): string {
  let folder = from;
  while (!existsSync(path.join(folder, 'package.json'))) {
    const parent = path.dirname(folder);
    if (parent === folder) return from;
    folder = parent;
  }
  return folder;
}
