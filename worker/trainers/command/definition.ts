/** A program that this worker may run as a trainer. It comes from the worker's own configuration, never from a study. */
export interface CommandDefinition {
  /** What a study's `trainer` says. */
  readonly name: string;
  /** Program and arguments, as the system gets them; no shell reads them. */
  readonly command: readonly string[];
  /** Absolute path of the folder it runs in. */
  readonly cwd: string;
  /** Variables added to the worker's own. */
  readonly env: Readonly<Record<string, string>>;
}

/** The programs a worker may run, by name. */
export type CommandTrainers = ReadonlyMap<string, CommandDefinition>;
