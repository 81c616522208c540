import type { LineCounter } from 'yaml';
import { studyFileLimits } from './limits.js';

/** One mistake in a study file. */
export interface StudyFileProblem {
  /** 1-based. */
  readonly line: number;
  /** 1-based. */
  readonly column: number;
  /** Where in the file's structure, e.g. `space.dropout.step`; empty for the file as a whole. */
  readonly path: string;
  /** What is wrong and what would be right. */
  readonly message: string;
}

/** A place in the file: the offset of its first character and its path. */
export interface Place {
  readonly offset: number;
  readonly path: string;
}

/** Collects mistakes and notices while a file is read. */
export class ProblemList {
  readonly notices: string[] = [];
  private readonly lineCounter: LineCounter;
  private readonly found = new Map<string, StudyFileProblem>();

  constructor(lineCounter: LineCounter) {
    this.lineCounter = lineCounter;
  }

  isEmpty(): boolean {
    return this.found.size === 0;
  }

  /** Whether more mistakes are known than are shown. */
  isFull(): boolean {
    return this.found.size > studyFileLimits.problemsMax;
  }

  /** Notes a mistake; the same one at the same place counts once. */
  add(place: Place, message: string): void {
    const { line, col } = this.lineCounter.linePos(place.offset);
    const problem = { line: Math.max(line, 1), column: Math.max(col, 1), path: place.path, message };
    this.found.set(`${place.offset} ${place.path} ${message}`, problem);
  }

  /** Notes something that is allowed but was read differently from how it was written. */
  notice(place: Place, message: string): void {
    const { line, col } = this.lineCounter.linePos(place.offset);
    this.notices.push(`${line}:${col} ${place.path}: ${message}`);
  }

  /** In the order of the file. Beyond `problemsMax` only their number is said. */
  sorted(): StudyFileProblem[] {
    const all = [...this.found.values()].sort((a, b) => a.line - b.line || a.column - b.column);
    const shown = all.slice(0, studyFileLimits.problemsMax);
    const last = shown.at(-1);
    if (last !== undefined && all.length > shown.length)
      shown.push({ ...last, path: '', message: `… and ${all.length - shown.length} more mistakes` });
    return shown;
  }
}

/** The mistakes as a compiler prints them, one per line: `studies/x.yaml:12:5 space.dropout.step: …`. */
export function formatProblems(file: string, problems: readonly StudyFileProblem[]): string {
  return problems
    .map(
      ({ line, column, path, message }) =>
        `${file}:${line}:${column} ${path === '' ? '' : `${path}: `}${message}`,
    )
    .join('\n');
}
