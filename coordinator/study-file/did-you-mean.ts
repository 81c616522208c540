/** Finds the word that was probably meant. */

/**
 * The closest of `known` to `word`, or null when none is close: at most a third of the letters may differ (two in short
 * words). Case and the separators `_`, `-`, `.` and space do not count.
 */
export function didYouMean(word: string, known: Iterable<string>): string | null {
  const wanted = squeezed(word);
  // A word this long is no mistyped key, and the comparison is quadratic.
  if (wanted.length > 60) return null;
  const allowed = Math.max(2, Math.floor(wanted.length / 3));
  let best: string | null = null;
  let bestDistance = allowed + 1;
  for (const candidate of known) {
    const plain = squeezed(candidate);
    if (Math.abs(plain.length - wanted.length) >= bestDistance) continue;
    const distance = editDistance(wanted, plain);
    // Replacing every letter of a short word is no resemblance.
    if (distance < bestDistance && distance < Math.max(wanted.length, plain.length)) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

const squeezed = (word: string): string => word.toLowerCase().replaceAll(/[_\-.\s]/g, '');

/** Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other. */
function editDistance(a: string, b: string): number {
  const width = b.length + 1;
  const table = new Uint16Array((a.length + 1) * width);
  const cell = (row: number, column: number): number => table[row * width + column] ?? 0;
  for (let row = 0; row <= a.length; row++) {
    for (let column = 0; column <= b.length; column++) {
      let cost = row === 0 ? column : column === 0 ? row : Infinity;
      if (row > 0 && column > 0) {
        const change = a[row - 1] === b[column - 1] ? 0 : 1;
        cost = Math.min(
          cell(row - 1, column) + 1,
          cell(row, column - 1) + 1,
          cell(row - 1, column - 1) + change,
        );
        const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
        if (isSwap) cost = Math.min(cost, cell(row - 2, column - 2) + 1);
      }
      table[row * width + column] = cost;
    }
  }
  return cell(a.length, b.length);
}
