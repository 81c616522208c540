/** `coordinator suggest`: what the sampler would try next on any history, from JSON to JSON lines. */
import { SamplerError } from '../../shared/core/sampler/sampler-error.js';
import { samplerAfter } from '../../shared/core/sampler/study-sampler.js';
import type { Params, Space } from '../../shared/core/space/parameter.js';
import { InputError } from './json-input.js';
import { parseSuggestInput, type SuggestCase } from './suggest-input.js';

/** Relative deviation that a float may have from what is expected. */
export const suggestionTolerance = 1e-9;

/** Suggestions of one case, in the order of its seeds: each that of a fresh sampler with that MT19937 seed. */
function suggestions({ index, request, seeds }: SuggestCase): Params[] {
  try {
    const sampler = samplerAfter(request, request.finished);
    return seeds.map((seed) => sampler.suggestWithSeed(request, seed));
  } catch (error) {
    if (error instanceof SamplerError)
      throw new InputError(index === null ? 'trials' : `cases[${index}].trials`, error.message);
    throw error;
  }
}

/** What stands in front of a line: nothing but the seed when the input is one case. */
const label = ({ index }: SuggestCase, seed: number): { case?: number; seed: number } =>
  index === null ? { seed } : { case: index, seed };

/**
 * Text to text: one case or a file of cases in (docs/guides/suggest.md); for every case and seed, in order, one line
 * `{"seed":…,"params":{…}}` out, with the `case` in front where there are several: the suggestion of a fresh sampler with
 * that MT19937 seed for the next trial, parameters in the order of the space (names that are whole numbers, such as "10",
 * come first and ascending, as JavaScript objects have them). Settings that are missing are those of
 * Optuna's release with the same rules. Throws an `InputError` that names the place of the mistake and the remedy.
 */
export function runSuggest(input: string): string {
  return parseSuggestInput(input)
    .flatMap((each) =>
      suggestions(each).map(
        (params, i) => `${JSON.stringify({ ...label(each, each.seeds[i] ?? 0), params })}\n`,
      ),
    )
    .join('');
}

/** The parameter that deviates most, and by how much; Infinity for a choice or an integer that differs. */
function largestDeviation(space: Space, ours: Params, expected: Params): { name: string; deviation: number } {
  let largest = { name: '', deviation: 0 };
  for (const { name, kind } of space) {
    const [a, b] = [ours[name], expected[name]];
    if (a === b) continue;
    const comparable = kind === 'float' && typeof a === 'number' && typeof b === 'number';
    const deviation = comparable ? Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b)) : Infinity;
    if (deviation > largest.deviation) largest = { name, deviation };
  }
  return largest;
}

export interface CheckedSuggestions {
  /** One line per suggestion that differs, and one that sums up. */
  readonly text: string;
  readonly different: number;
}

/**
 * Compares the suggestions with what the input expects: floats to 1e-9 relative, integers and choices exactly. Throws an
 * `InputError` when a case expects nothing.
 */
export function checkSuggestions(input: string): CheckedSuggestions {
  const lines: string[] = [];
  let checked = 0;
  let largest = 0;
  for (const each of parseSuggestInput(input)) {
    const { expected, request, seeds } = each;
    if (expected === null)
      throw new InputError(
        each.index === null ? 'expected' : `cases[${each.index}].expected`,
        'is not there',
      );
    suggestions(each).forEach((params, i) => {
      const wanted = expected[i] ?? {};
      const { name, deviation } = largestDeviation(request.space, params, wanted);
      checked += 1;
      if (deviation <= suggestionTolerance) largest = Math.max(largest, deviation);
      else
        lines.push(
          JSON.stringify({ ...label(each, seeds[i] ?? 0), differs: name, params, expected: wanted }),
        );
    });
  }
  const summary =
    `${checked - lines.length} of ${checked} suggestions are as expected; ` +
    `largest relative deviation among them ${largest.toExponential(1)}`;
  return { text: [...lines, summary].join('\n'), different: lines.length };
}
