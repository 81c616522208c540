/** Standard output is the result of a command. */
export const print = (text: string): void =>
  void process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);

/** JSON with NaN and infinities as the strings `"NaN"`, `"Infinity"`, `"-Infinity"`, which plain JSON lacks. */
export const toJson = (value: unknown, indent = 2): string =>
  JSON.stringify(
    value,
    (_key, part: unknown) => (typeof part === 'number' && !Number.isFinite(part) ? String(part) : part),
    indent,
  );

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

/** `2024-06-30 23:00` in UTC. */
export const minute = (ms: number): string => new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
