import type { StudyView } from '../../shared/core/study/study.js';

/** What the results need to know of a study. */
export type ResultsStudy = Pick<
  StudyView,
  'definition' | 'definitionHash' | 'dataset' | 'trialsMax' | 'oomAttempts'
>;
