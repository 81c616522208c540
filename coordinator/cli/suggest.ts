/** `coordinator suggest`: what the sampler would try next on any history, from JSON to JSON lines. */
import { SamplerError } from '../../shared/core/sampler/sampler-error.js';
import { suggestWithSeed } from '../../shared/core/sampler/suggest.js';
import { parseSuggestInput, SuggestInputError } from './suggest-input.js';

/**
 * Text to text: one JSON object with `space`, `directions`, `rules`, `n_startup_trials`, `n_ei_candidates`,
 * `multivariate`, `constant_liar`, `group`, `trials`, `fixed` and `seeds` in; for every seed, in order, one line
 * `{"seed":…,"params":{…}}` out: the suggestion of a fresh sampler with that MT19937 seed for the next trial. Settings
 * that are missing are those of Optuna's release with the same rules. Throws a `SuggestInputError` that names the
 * place of the mistake and the remedy.
 */
export function runSuggest(input: string): string {
  const { seeds, ...request } = parseSuggestInput(input);
  try {
    return seeds
      .map((seed) => `${JSON.stringify({ seed, params: suggestWithSeed(request, seed) })}\n`)
      .join('');
  } catch (error) {
    if (error instanceof SamplerError) throw new SuggestInputError('trials', error.message);
    throw error;
  }
}
