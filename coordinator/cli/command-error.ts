/** A command that cannot do what it was asked to; the message goes to the user as it is. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  /** 1: it failed. 2: it was used wrongly. */
  readonly exitCode: 1 | 2;

  constructor(message: string, exitCode: 1 | 2 = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}
