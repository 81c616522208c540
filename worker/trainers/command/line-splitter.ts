/** Cuts a stream of text into lines. A line longer than the bound is delivered in pieces, so that memory stays bounded. */
export class LineSplitter {
  readonly #lineLengthMax: number;
  readonly #onLine: (line: string) => void;
  #rest = '';

  constructor(lineLengthMax: number, onLine: (line: string) => void) {
    this.#lineLengthMax = lineLengthMax;
    this.#onLine = onLine;
  }

  /** Takes the next piece of the stream. */
  push(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#deliver(line);
    while (this.#rest.length > this.#lineLengthMax) {
      this.#onLine(this.#rest.slice(0, this.#lineLengthMax));
      this.#rest = this.#rest.slice(this.#lineLengthMax);
    }
  }

  /** The stream has ended; a last line without its end counts. */
  end(): void {
    if (this.#rest !== '') this.#deliver(this.#rest);
    this.#rest = '';
  }

  #deliver(line: string): void {
    const text = line.endsWith('\r') ? line.slice(0, -1) : line;
    for (let from = 0; from === 0 || from < text.length; from += this.#lineLengthMax)
      this.#onLine(text.slice(from, from + this.#lineLengthMax));
  }
}
