/** Study files and shorthands for the tests of this folder. */
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import { formatProblems, parseStudyFile } from './parse-study-file.js';

/** A small study for a command trainer, so that parameter names are free. */
export const base = `
name: demo
direction: minimize
objective: { loss: 1 }
trials: 30
space:
  x: { low: 0, high: 1, step: 0.25 }
  n: { low: 1, high: 64, log: true, int: true }
  kind: { choices: [a, b, 3, true, null] }
trainer: my-program
`;

/** The same for the Hermite trainer. */
export const hermite = `
name: demo
direction: maximize
objective: { auc: 0.7, dir_acc: 0.3 }
trials: 30
space:
  dropout: { low: 0, high: 0.5 }
`;

/** The study of a text that must be right. */
export function studyOf(text: string): StudyDefinition {
  const parsed = parseStudyFile(text);
  if (parsed.kind === 'problems') throw new Error(formatProblems('study', parsed.problems));
  return parsed.definition;
}

/** The problems as `line:column path: message`. */
export function problemsOf(text: string): string[] {
  const parsed = parseStudyFile(text);
  if (parsed.kind === 'ok') return [];
  return formatProblems('', parsed.problems)
    .split('\n')
    .map((line) => line.slice(1));
}

/** The notices of a text that must be right. */
export const noticesOf = (text: string): readonly string[] => {
  const parsed = parseStudyFile(text);
  return parsed.kind === 'ok' ? parsed.notices : [];
};
