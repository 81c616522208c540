import type { StudyDefinition } from '../../shared/core/study/definition.js';

/** Port: reads a study file. Problems come as one text for people, every mistake with line, column and remedy. */
export type StudyFileParser = (
  text: string,
) =>
  | { readonly kind: 'ok'; readonly definition: StudyDefinition; readonly notices: readonly string[] }
  | { readonly kind: 'problems'; readonly text: string };
