import { readFile, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { goldenFileBytesMax } from '../../limits.js';
import type { Runtime } from '../../trainers/runtime/runtime.js';
import { checkGoldenText, unrecognised, type FileVerdict } from './check-file.js';

/** The folder of golden figures cannot be used; the message says why. */
export class GoldenFolderError extends Error {
  override readonly name = 'GoldenFolderError';
}

export interface CheckedFile {
  readonly file: string;
  readonly result: FileVerdict;
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** A name like `figures.json.part` claims to be of figures, and is no file of them. */
const claimsFigures = (file: string): boolean => /\.json(\.|$)/i.test(path.basename(file));

async function checkFile(file: string, runtime: Runtime): Promise<FileVerdict> {
  if (!claimsFigures(file)) return { verdict: 'unknown', reason: 'not a .json file' };
  if (!/\.json$/i.test(file)) return unrecognised('not a whole, unpacked .json file');
  let text;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    return unrecognised(`cannot be read: ${reasonOf(error)}`);
  }
  if (text.length > goldenFileBytesMax) return unrecognised(`larger than ${goldenFileBytesMax} characters`);
  return checkGoldenText(text, runtime);
}

/** Whether the entry is a folder, also behind a link; what cannot be looked at is taken for a file, and then said to be unreadable. */
async function isFolder(entry: string): Promise<boolean> {
  try {
    return (await stat(entry)).isDirectory();
  } catch {
    return false;
  }
}

/** Judges every file of a folder, in order of name; `onFile` is told of each at once. */
export async function checkGoldenFolder(
  folder: string,
  runtime: Runtime,
  onFile: (checked: CheckedFile) => void = () => undefined,
): Promise<readonly CheckedFile[]> {
  let entries;
  try {
    entries = await readdir(folder);
  } catch (error) {
    throw new GoldenFolderError(`the golden figures cannot be read: ${reasonOf(error)}`, { cause: error });
  }
  const checked: CheckedFile[] = [];
  for (const file of entries.sort()) {
    if (await isFolder(path.join(folder, file))) continue;
    const result = await checkFile(path.join(folder, file), runtime);
    checked.push({ file, result });
    onFile({ file, result });
  }
  return checked;
}

/** Whether something was judged, and nothing missed; files that claim nothing, like a README, do not matter. */
export const goldenPassed = (checked: readonly CheckedFile[]): boolean =>
  checked.some(({ result }) => result.verdict === 'ok') &&
  checked.every(({ result }) => result.verdict === 'ok' || result.verdict === 'unknown');

/** One line for people: `ok   model_b.json  0.13 of tolerance (grad block.bias: got …, not …)`. */
export function verdictLine({ file, result }: CheckedFile): string {
  switch (result.verdict) {
    case 'unknown':
      return `?    ${file}  skipped: ${result.reason}`;
    case 'broken':
      return `MISS ${file}  ${result.kind}: ${result.reason}`;
    case 'ok':
    case 'miss': {
      const { ratio, where, detail } = result.worst;
      const size =
        ratio === 0 ? 'exact' : Number.isFinite(ratio) ? `${ratio.toPrecision(2)} of tolerance` : 'wrong';
      const at = ratio === 0 ? '' : `  (${where}${result.verdict === 'miss' ? `: ${detail}` : ''})`;
      const label = result.verdict === 'ok' ? 'ok  ' : 'MISS';
      return `${label} ${file}  ${size}${at}`;
    }
  }
}
