/** Thrown when the program contradicts itself: a bug, never bad input. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** Stops the program when `condition` is false. Stays on in production: a wrong answer costs more than a crash. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Closes a union: compiles only while every case is handled. */
export function assertNever(value: never): never {
  throw new AssertionError(`unexpected case: ${JSON.stringify(value)}`);
}
