/** A command as it is typed, within this process. */
import { Command } from 'commander';
import { Readable } from 'node:stream';
import { vi } from 'vitest';

/** What a command prints on standard output, given this standard input; rejects with what it throws. */
export async function commandOutput(
  add: (program: Command) => void,
  args: readonly string[],
  input = '',
): Promise<string> {
  const stdin = Readable.from([input]);
  vi.spyOn(process, 'stdin', 'get').mockReturnValue(stdin as unknown as typeof process.stdin);
  const written: string[] = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  const program = new Command('coordinator').exitOverride();
  add(program);
  try {
    await program.parseAsync(args, { from: 'user' });
  } finally {
    vi.restoreAllMocks();
  }
  return written.join('');
}
