import { Option, type Command } from 'commander';
import { CommandError } from './command-error.js';
import { print } from './print.js';
import { SuggestInputError } from './suggest-input.js';
import { runSuggest } from './suggest.js';

/** Bytes of standard input at most: a history of 100,000 trials of 17 parameters has about 40 MB. */
const inputBytesMax = 512 * 1024 * 1024;

/** `coordinator suggest`: one JSON object from standard input, one line per seed to standard output. */
export function addSuggestCommand(program: Command): void {
  program
    .command('suggest')
    .description('what the sampler would try next on any history, given as JSON on standard input')
    // What it prints is JSON in any case; taken so that every command takes it.
    .addOption(new Option('--json', 'print JSON (always)').env('PARZEN_JSON'))
    .action(async () => {
      if (process.stdin.isTTY)
        throw new CommandError(
          'suggest reads a JSON object from standard input: coordinator suggest < history.json',
          2,
        );
      const input = await readAll(process.stdin);
      try {
        print(runSuggest(input));
      } catch (error) {
        if (error instanceof SuggestInputError) throw new CommandError(error.message, 2);
        throw error;
      }
    });
}

async function readAll(stream: AsyncIterable<unknown>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    const buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    size += buffer.length;
    if (size > inputBytesMax) throw new CommandError(`the input is larger than ${inputBytesMax} bytes`, 2);
    chunks.push(buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}
