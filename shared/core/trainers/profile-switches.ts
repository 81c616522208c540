/**
 * The switches between the original's evaluation and the defaults (hermite-model.md §19): what each is in either profile, and
 * how to turn one of them in an `evaluation` section without touching the others.
 */
import { evaluationSpecs, v6Defaults, withoutIdleKeys } from './evaluation-settings.js';
import type { SettingRecord, SettingValue } from './setting-schema.js';

export interface ProfileSwitch {
  readonly name: keyof typeof evaluationSpecs;
  /** Its value in the defaults, and in the profile v6. */
  readonly standard: SettingValue;
  readonly v6: SettingValue;
}

const isSwitch = (name: string): name is keyof typeof evaluationSpecs => Object.hasOwn(evaluationSpecs, name);

/** All of them, in the order of the table. */
export const profileSwitches: readonly ProfileSwitch[] = Object.entries(v6Defaults).flatMap(([name, v6]) =>
  isSwitch(name) && !Array.isArray(v6)
    ? [{ name, standard: evaluationSpecs[name].default, v6: v6 as SettingValue }]
    : [],
);

/** The section with one switch set; sizes that mean nothing under it (of the other kind of folds, say) are left out. */
export const switched = (
  evaluation: SettingRecord,
  name: ProfileSwitch['name'],
  value: SettingValue,
): SettingRecord => withoutIdleKeys({ ...evaluation, [name]: value });
