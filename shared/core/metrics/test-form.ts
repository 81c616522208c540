/** Which formula a statistical test follows: the published one, or the original program's (hermite-model.md §18.15). */
export type TestForm = 'textbook' | 'v6';

export interface TestResult {
  readonly statistic: number;
  readonly pValue: number;
}
