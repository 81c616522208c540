/** Values of command line options and their environment variables: text in, value out, or an error of usage. */
import { InvalidArgumentError } from 'commander';

/** A whole number in decimal digits; `0x10`, `1e3` and the empty text are none. */
export const wholeNumber =
  (low: number, high: number) =>
  (text: string): number => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (value >= low && value <= high) return value;
    throw new InvalidArgumentError(`Give a whole number from ${low} to ${high}.`);
  };

/** A finite number from `low` to `high`, in decimal digits with an exponent or without. */
export const decimalNumber =
  (low: number, high: number) =>
  (text: string): number => {
    const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
    if (value >= low && value <= high) return value;
    throw new InvalidArgumentError(`Give a number from ${low} to ${high}.`);
  };

/** `auto`, or a whole number. */
export const autoOrNumber =
  (low: number, high: number) =>
  (text: string): number | 'auto' => {
    if (text === 'auto') return text;
    const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (value >= low && value <= high) return value;
    throw new InvalidArgumentError(`Give auto or a number from ${low} to ${high}.`);
  };

/** `HOST:PORT`, `[IPv6]:PORT`. Port 0 (any free one) makes sense only where one listens, with `portMin` 0. */
export const hostPort =
  (portMin: 0 | 1) =>
  (text: string): string => {
    const port = Number(/^(?:[^\s:/]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/.exec(text)?.[1] ?? NaN);
    if (port >= portMin && port <= 65_535) return text;
    throw new InvalidArgumentError(
      `Give HOST:PORT with a port from ${portMin} to 65535, for example 127.0.0.1:50051.`,
    );
  };

/** Budget of a study, trials. */
export const trialBudget = wholeNumber(1, 10_000_000);

/** A moment in UTC, ms: a date, or a date with a time. */
export function dateMs(text: string): number {
  const ms = Date.parse(
    /[zZ]|[+-]\d\d:?\d\d$/.test(text) ? text : `${text}${text.includes('T') ? 'Z' : 'T00:00Z'}`,
  );
  if (Number.isNaN(ms))
    throw new InvalidArgumentError('Give a date, for example 2019-01-01 or 2019-01-01T12:00.');
  return ms;
}
