import type { StudyDefinition } from '../../shared/core/study/definition.js';
import type { StudyFileParser } from '../app/study-file.js';
import { findStudyFile } from '../study-file/find-study-file.js';
import { formatProblems, parseStudyFile } from '../study-file/parse-study-file.js';
import { CommandError } from './command-error.js';

/** The parser of study files as the use cases know it; problems are prefixed with `study file`. */
export const parseStudy: StudyFileParser = (text) => {
  const parsed = parseStudyFile(text);
  return parsed.kind === 'ok'
    ? parsed
    : { kind: 'problems', text: formatProblems('study file', parsed.problems) };
};

export interface ReadStudyFile {
  readonly text: string;
  readonly definition: StudyDefinition;
  /** What was allowed but read differently from how it was written. */
  readonly notices: readonly string[];
}

/** There is no study file of this name. */
export class NoSuchStudyFile extends CommandError {
  constructor(message: string) {
    super(message, 2);
  }
}

/** The study file of that name or path, read and checked; throws `CommandError` with all its mistakes. */
export async function readStudyFile(nameOrPath: string): Promise<ReadStudyFile> {
  const found = await findStudyFile(nameOrPath);
  if (found.kind === 'problem')
    throw found.noSuchName === true ? new NoSuchStudyFile(found.message) : new CommandError(found.message, 2);
  const parsed = parseStudyFile(found.text);
  if (parsed.kind === 'problems')
    throw new CommandError(`the study file has mistakes\n${formatProblems(found.path, parsed.problems)}`, 2);
  const { definition, notices } = parsed;
  return { text: found.text, definition, notices: notices.map((notice) => `${found.path}:${notice}`) };
}
