/**
 * The YAML library's parser, for texts of anybody: it stops where there are more mistakes than are shown. By itself it goes on
 * to the end and keeps an error, stack and all, for each bracket out of place: seconds and hundreds of megabytes for a file of
 * a few hundred kilobytes.
 */
import { Composer, Parser, type CST, type Document } from 'yaml';
import { studyFileLimits } from './limits.js';

export interface YamlMistake {
  readonly offset: number;
  readonly message: string;
}

export interface ParsedYaml {
  /** The first document; null when there are too many mistakes to go on. */
  readonly document: Document.Parsed | null;
  readonly mistakes: readonly YamlMistake[];
  /** Where a second document begins; null without one. */
  readonly furtherAt: number | null;
}

/** Thrown through the library to end its work. */
class TooManyMistakes extends Error {}

type Source = number | readonly [number, ...number[]] | { readonly offset: number };

const offsetOf = (source: Source): number =>
  typeof source === 'number' ? source : 'offset' in source ? source.offset : source[0];

/** Parses the text. Throws a `RangeError` where the parser runs out of stack. */
export function parseYamlText(text: string): ParsedYaml {
  const mistakes: YamlMistake[] = [];
  const report = (source: Source, _code: string, message: string): void => {
    mistakes.push({ offset: offsetOf(source), message });
    if (mistakes.length > studyFileLimits.problemsMax) throw new TooManyMistakes();
  };
  // Double keys are found while reading: the library's own check takes quadratic time. Where the library collects errors
  // there is no option, but it asks this member for every one.
  const composer = new Composer({ uniqueKeys: false, prettyErrors: false });
  Object.assign(composer, { onError: report });
  try {
    const documents = composer.compose(legible(new Parser().parse(text), report), true, text.length);
    const first = documents.next();
    const second = documents.next();
    const document = first.done === true ? null : first.value;
    for (const { pos, message } of [...(document?.errors ?? []), ...(document?.warnings ?? [])])
      mistakes.push({ offset: pos[0], message });
    return { document, mistakes, furtherAt: second.done === true ? null : second.value.range[0] };
  } catch (error) {
    if (!(error instanceof TooManyMistakes)) throw error;
    return { document: null, mistakes, furtherAt: null };
  }
}

/** The tokens without those that are mistakes. */
function* legible(
  tokens: Iterable<CST.Token>,
  report: (source: Source, code: string, message: string) => void,
): Generator<CST.Token> {
  for (const token of tokens)
    if (token.type === 'error')
      report(
        token,
        'UNEXPECTED_TOKEN',
        token.source === '' ? token.message : `${token.message}: ${JSON.stringify(token.source)}`,
      );
    else yield token;
}
