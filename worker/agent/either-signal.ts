/**
 * Runs `use` with a signal that aborts as soon as one of `signals` does, with that one's reason. Leaves nothing behind on
 * a signal that lives on: what `AbortSignal.any` makes of one stays with it for as long as it lives (Node 20).
 */
export async function withEither<T>(
  signals: readonly AbortSignal[],
  use: (either: AbortSignal) => Promise<T>,
): Promise<T> {
  const either = new AbortController();
  const ends = signals.map((signal) => {
    const end = (): void => either.abort(signal.reason);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
    return () => signal.removeEventListener('abort', end);
  });
  try {
    return await use(either.signal);
  } finally {
    for (const end of ends) end();
  }
}
