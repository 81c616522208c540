import { CommandError } from './command-error.js';

/** Bytes of standard input at most: a history of 100,000 trials of 17 parameters has about 40 MB. */
const inputBytesMax = 512 * 1024 * 1024;

/**
 * All of standard input, UTF-8. Throws a `CommandError` with `usage` when it is a terminal, because nobody types a history,
 * or empty.
 */
export async function readStdin(usage: string): Promise<string> {
  if (process.stdin.isTTY) throw new CommandError(usage, 2);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin) {
    const buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    size += buffer.length;
    if (size > inputBytesMax) throw new CommandError(`the input is larger than ${inputBytesMax} bytes`, 2);
    chunks.push(buffer);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  if (text.trim() === '') throw new CommandError(`standard input is empty; ${usage}`, 2);
  return text;
}
