/** How many inputs a property is tried on, and which: the seed is printed, so that what was found is found again. */
import fc from 'fast-check';

/** `FUZZ_INPUTS` asks for another number of inputs per property. */
export const inputsOf = (byDefault: number): number => Number(process.env['FUZZ_INPUTS'] ?? byDefault);

/**
 * Says how many inputs there will be, and which. `FUZZ_SEED` asks for others: `npm run fuzz` draws one, while `npm test` tries
 * the same ones every time, so that a change that fails it is to blame.
 */
export function seedOf(inputs: number): number {
  const seed = Number(process.env['FUZZ_SEED'] ?? 1);
  console.log(`${inputs} inputs, FUZZ_SEED=${seed}`);
  return seed;
}

export function checkProperty<T>(
  byDefault: number,
  property: fc.IProperty<T> | fc.IAsyncProperty<T>,
): Promise<void> {
  const numRuns = inputsOf(byDefault);
  const seed = seedOf(numRuns);
  return Promise.resolve(fc.assert(property as fc.IAsyncProperty<T>, { numRuns, seed }));
}
