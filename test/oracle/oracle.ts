/** A Python with Optuna in it, asked question by question (see oracle.py). */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';

type Json = Readonly<Record<string, unknown>>;

/** Works from the sources and from `dist/`. */
const script = path.resolve(process.cwd(), 'test/oracle/oracle.py');

export class Oracle {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly version: string;

  private constructor(child: ChildProcessWithoutNullStreams, lines: AsyncIterator<string>, hello: Json) {
    this.#child = child;
    this.#lines = lines;
    this.version = String(hello['version']);
  }

  /** Starts it; null when this Python does not exist or has no Optuna. */
  static async start(python: string): Promise<Oracle | null> {
    const child = spawn(python, [script], { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stderr.resume();
    child.stdin.on('error', () => undefined);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    // `once` fails when there is an error before: no such Python.
    if (
      !(await once(child, 'spawn').then(
        () => true,
        () => false,
      ))
    )
      return null;
    const hello = await nextLine(lines);
    if (hello === null || hello['version'] === undefined) {
      child.stdin.end();
      return null;
    }
    return new Oracle(child, lines, hello);
  }

  /** Answers in the order of the questions; a question that Optuna cannot answer has an `error`. */
  async ask(question: Json): Promise<Json> {
    this.#child.stdin.write(`${JSON.stringify(question)}\n`);
    const answer = await nextLine(this.#lines);
    if (answer === null) throw new Error(`Optuna ${this.version} ended in the middle of a question`);
    return answer;
  }

  close(): void {
    this.#child.stdin.end();
  }
}

async function nextLine(lines: AsyncIterator<string>): Promise<Json | null> {
  const line = await lines.next();
  if (line.done === true) return null;
  // What Python writes for numbers that JSON does not have.
  const strict = line.value.replace(/"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g, (token) =>
    token.startsWith('"') ? token : `"${token}"`,
  );
  return JSON.parse(strict) as Json;
}

/** Pythons to try: those of PARZEN_PEER_PYTHONS, separated by colons, else `python3`. */
export const peerPythons = (): readonly string[] =>
  (process.env['PARZEN_PEER_PYTHONS'] ?? 'python3').split(':').filter((python) => python !== '');
