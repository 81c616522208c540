/**
 * Finds what is beyond all reason in a study file before the YAML library's parser sees it. The parser takes a level of the call
 * stack per level of nesting: thousands of them cost seconds, and where the stack ends inside a regular expression the whole
 * process ends. It also takes microseconds per token, and keeps an error for each. The library's lexer is a plain loop.
 */
import { CST, Lexer } from 'yaml';
import { studyFileLimits } from './limits.js';
import type { Place } from './problems.js';

type TokenType = NonNullable<ReturnType<typeof CST.tokenType>>;

const opening: ReadonlySet<TokenType> = new Set(['flow-map-start', 'flow-seq-start']);
const closing: ReadonlySet<TokenType> = new Set(['flow-map-end', 'flow-seq-end']);
const blank: ReadonlySet<TokenType> = new Set([
  'space',
  'newline',
  'comment',
  'byte-order-mark',
  'flow-error-end',
]);
/** Of which several may open a block on one line. */
const indicators: ReadonlySet<TokenType> = new Set(['seq-item-ind', 'explicit-key-ind', 'map-value-ind']);

export interface Excess extends Place {
  /** What is too much, and what would be right. */
  readonly message: string;
}

export const nestedTooDeeply = 'lists or maps are nested too deeply; a study file has five levels at most';

/** The first excess; null when the text can safely be parsed. */
export function findExcess(text: string): Excess | null {
  const nesting = new Nesting();
  const { tokensMax, aliasesMax, nestingMax } = studyFileLimits;
  let offset = 0;
  let tokens = 0;
  let aliases = 0;
  for (const token of new Lexer().lex(text)) {
    const type = CST.tokenType(token);
    const found = (message: string): Excess => ({ offset, path: '', message });
    tokens += 1;
    if (tokens > tokensMax)
      return found(`more than ${tokensMax} words and signs; a study file has some thousands`);
    if (type === 'alias') aliases += 1;
    if (aliases > aliasesMax) return found(`more than ${aliasesMax} uses of YAML anchors (*name)`);
    if (type !== null) nesting.take(type, offset, token.length);
    if (nesting.depth > nestingMax) return found(nestedTooDeeply);
    // The lexer's own marks stand for no text.
    if (!isMark(token)) offset += token.length;
  }
  return null;
}

/** How deep a place lies, told from brackets and columns. */
class Nesting {
  /** Columns at which the blocks around this place begin, ascending. */
  readonly #columns: number[] = [];
  #flow = 0;
  #lineStart = 0;
  #atIndent = true;

  get depth(): number {
    return this.#flow + this.#columns.length;
  }

  take(type: TokenType, offset: number, length: number): void {
    if (type === 'newline') {
      this.#lineStart = offset + length;
      this.#atIndent = true;
    } else if (opening.has(type)) this.#flow += 1;
    else if (closing.has(type)) this.#flow = Math.max(0, this.#flow - 1);
    else if (this.#flow === 0 && !blank.has(type)) {
      const column = offset - this.#lineStart;
      if (this.#atIndent) while ((this.#columns.at(-1) ?? -1) >= column) this.#columns.pop();
      if (this.#atIndent || indicators.has(type)) this.#columns.push(column);
      this.#atIndent = false;
    }
  }
}

const isMark = (token: string): boolean =>
  token === CST.BOM || token === CST.DOCUMENT || token === CST.FLOW_END || token === CST.SCALAR;
