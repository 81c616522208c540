/** The `sampler` section. Without it, TPE with the defaults of the present rules. */
import type { SamplerSettings } from '../../shared/core/sampler/sampler.js';
import { studyFileLimits } from './limits.js';
import type { MapReader, ReadContext } from './map-reader.js';
import { samplerTypeDefault, seedDefault, tpeDefaults, tpeRulesDefault } from './study-defaults.js';
import { eiCandidatesMax } from '../limits.js';

const tpeKeys = [
  'startup_trials',
  'ei_candidates',
  'multivariate',
  'group',
  'constant_liar',
  'rules',
] as const;

/** The sampler of a study with this many objectives (defaults depend on it). */
export function readSampler(context: ReadContext, root: MapReader, objectives: number): SamplerSettings {
  const map = root.section('sampler');
  const type = map?.word('type', ['tpe', 'random'], samplerTypeDefault) ?? samplerTypeDefault;
  const seed =
    map?.number('seed', { whole: true, low: 0, high: studyFileLimits.seedMax }, seedDefault) ?? seedDefault;
  if (type === 'random') {
    map?.finish((key) =>
      tpeKeys.some((tpeKey) => tpeKey === key)
        ? 'belongs to type: tpe; a random sampler does not use it'
        : null,
    );
    return { type, seed };
  }
  const rules = map?.word('rules', ['optuna-5', 'optuna-4'], tpeRulesDefault) ?? tpeRulesDefault;
  const defaults = tpeDefaults(rules, objectives);
  if (map === null) return { type, seed, rules, ...defaults };
  const group = map.boolean('group', defaults.group);
  const multivariate = map.boolean('multivariate', defaults.multivariate || group);
  if (group && !multivariate) {
    const place = map.find('multivariate')?.place ?? map.place;
    context.problems.add(place, 'is false, but group: true needs it; remove one of the two');
  }
  const counts = { whole: true, high: studyFileLimits.trialsMax };
  const settings: SamplerSettings = {
    type,
    seed,
    rules,
    startupTrials: map.number('startup_trials', { ...counts, low: 0 }, defaults.startupTrials),
    eiCandidates: map.number(
      'ei_candidates',
      { ...counts, low: 1, high: eiCandidatesMax },
      defaults.eiCandidates,
    ),
    multivariate,
    group,
    constantLiar: map.boolean('constant_liar', defaults.constantLiar),
  };
  map.finish();
  return settings;
}
