/** SQL with a name under which each connection prepares it once. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}
