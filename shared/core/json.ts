/** JSON with NaN and infinities as the strings `"NaN"`, `"Infinity"`, `"-Infinity"`, which plain JSON lacks. */
export const toJson = (value: unknown, indent = 2): string =>
  JSON.stringify(
    value,
    (_key, part: unknown) => (typeof part === 'number' && !Number.isFinite(part) ? String(part) : part),
    indent,
  );
