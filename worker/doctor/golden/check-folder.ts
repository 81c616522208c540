import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { goldenFileBytesMax } from '../../limits.js';
import type { Runtime } from '../../trainers/runtime/runtime.js';
import { checkGoldenText, type FileVerdict } from './check-file.js';

/** The folder of golden figures cannot be used; the message says why. */
export class GoldenFolderError extends Error {
  override readonly name = 'GoldenFolderError';
}

export interface CheckedFile {
  readonly file: string;
  readonly result: FileVerdict;
}

async function checkFile(file: string, runtime: Runtime): Promise<FileVerdict> {
  if (!file.endsWith('.json')) return { verdict: 'unknown', reason: 'not a .json file' };
  const text = await readFile(file, 'utf8');
  if (text.length > goldenFileBytesMax)
    return { verdict: 'unknown', reason: `larger than ${goldenFileBytesMax} characters` };
  return checkGoldenText(text, runtime);
}

/** Judges every file of a folder, in order of name; `onFile` is told of each at once. */
export async function checkGoldenFolder(
  folder: string,
  runtime: Runtime,
  onFile: (checked: CheckedFile) => void = () => undefined,
): Promise<readonly CheckedFile[]> {
  let entries;
  try {
    entries = await readdir(folder, { withFileTypes: true });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new GoldenFolderError(`the golden figures cannot be read: ${reason}`, { cause: error });
  }
  const files = entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
  const checked: CheckedFile[] = [];
  for (const file of files.sort()) {
    const result = await checkFile(path.join(folder, file), runtime);
    checked.push({ file, result });
    onFile({ file, result });
  }
  return checked;
}

/** Whether something was judged, and nothing missed. */
export const goldenPassed = (checked: readonly CheckedFile[]): boolean =>
  checked.some(({ result }) => result.verdict === 'ok') &&
  checked.every(({ result }) => result.verdict === 'ok' || result.verdict === 'unknown');

/** One line for people: `ok   model_b.json  0.13 of tolerance (grad block.bias: got …, not …)`. */
export function verdictLine({ file, result }: CheckedFile): string {
  switch (result.verdict) {
    case 'unknown':
      return `?    ${file}  unknown: ${result.reason}`;
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
