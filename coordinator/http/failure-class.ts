import { AppError } from '../app/errors.js';

/** Classes of SQLSTATE that a store fails with, and what is none: no connection, and our own mistakes. */
export const failureClasses = [
  'connection',
  '08',
  '22',
  '23',
  '40',
  '53',
  '55',
  '57',
  '58',
  'XX',
  'other',
] as const;
export type FailureClass = (typeof failureClasses)[number];

/** The class of what the store threw; null for a refusal that is no failure of the store. */
export function failureClass(failure: unknown): FailureClass | null {
  if (failure instanceof AppError) return null;
  for (let error = failure; error instanceof Error; error = error.cause) {
    const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
    if (/^[0-9A-Z]{5}$/.test(code) && !code.startsWith('E'))
      return failureClasses.find((known) => known === code.slice(0, 2)) ?? 'other';
    if (/^E[A-Z_]+$/.test(code) || /connect|Query read timeout|store is closed/i.test(error.message))
      return 'connection';
  }
  return 'other';
}
