/** Standard output is the result of a command. A result without any line, '', prints nothing. */
export function print(text: string): void {
  if (text !== '') process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}

/** What Node says of a stream whose reader has gone. */
const readerGone: ReadonlySet<unknown> = new Set(['EPIPE', 'ERR_STREAM_DESTROYED']);

/**
 * Lets a reader of the output go away (`… | head -1`): what would have been printed is dropped, and the command ends as
 * it would have, its store closed and its study served. Other failures of the stream are thrown.
 */
export function outliveReader(stream: NodeJS.WritableStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (!readerGone.has(error.code)) throw error;
  });
}

/** Rows as aligned columns; the first row is the heading. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Six significant digits, or the word for what is not finite. */
export const figure = (value: number | undefined): string =>
  value === undefined ? '–' : Number.isFinite(value) ? String(Number(value.toPrecision(6))) : String(value);

/** The same, and a dash for what cannot be said: NaN as well. */
export const figureOrDash = (value: number | undefined): string =>
  figure(Number.isNaN(value) ? undefined : value);

/** `2024-06-30 23:00` in UTC. */
export const minute = (ms: number): string => new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
