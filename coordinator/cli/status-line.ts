/**
 * The bottom line of a terminal: a bar that stays below everything that is logged. On anything but a terminal there is
 * no bar, and lines pass through.
 */
export class StatusLine {
  readonly #stream: NodeJS.WriteStream;
  #bar = '';

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  /** True on a terminal. */
  get shown(): boolean {
    return this.#stream.isTTY;
  }

  /** Columns of the terminal; 80 where it does not say. */
  get width(): number {
    return this.shown && this.#stream.columns > 0 ? this.#stream.columns : 80;
  }

  /** A finished line (newline included), above the bar. */
  log(line: string): void {
    this.#stream.write(this.#bar === '' ? line : `\r\u001b[2K${line}${this.#bar}`);
  }

  /** Shows a bar, or none for ''. */
  show(bar: string): void {
    if (!this.shown || bar === this.#bar) return;
    this.#bar = bar;
    this.#stream.write(`\r\u001b[2K${bar}`);
  }

  /** Leaves the last bar standing and ends its line. */
  end(): void {
    if (this.#bar !== '') this.#stream.write('\n');
    this.#bar = '';
  }
}
