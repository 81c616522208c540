/** When two parameters, or two choices, are the same (tpe.md §3). */
import type { Parameter, ParameterValue } from './parameter.js';

/**
 * Equality of choices as Optuna has it: true = 1, false = 0, NaN = NaN; everything else strictly. Of the choices
 * [true, 1] the second can therefore never be recorded.
 */
export function choicesEqual(a: ParameterValue, b: ParameterValue): boolean {
  const plain = (value: ParameterValue): ParameterValue =>
    typeof value === 'boolean' ? Number(value) : value;
  const x = plain(a);
  const y = plain(b);
  return x === y || (typeof x === 'number' && typeof y === 'number' && Number.isNaN(x) && Number.isNaN(y));
}

/** Whether two parameters have the same kind and equal fields; the name is not looked at. */
export function parametersEqual(a: Parameter, b: Parameter): boolean {
  if (a.kind === 'categorical' || b.kind === 'categorical') return parametersCompatible(a, b);
  return a.kind === b.kind && a.low === b.low && a.high === b.high && a.log === b.log && a.step === b.step;
}

/**
 * Whether two parameters may stand under one name in a study: same kind, and the same `log` or the same choices in
 * the same order. Low, high and step may differ ("dynamic range").
 */
export function parametersCompatible(a: Parameter, b: Parameter): boolean {
  if (a.kind === 'categorical' || b.kind === 'categorical') {
    if (a.kind !== 'categorical' || b.kind !== 'categorical') return false;
    return (
      a.choices.length === b.choices.length &&
      a.choices.every((choice, i) => choicesEqual(choice, b.choices[i] ?? null))
    );
  }
  return a.kind === b.kind && a.log === b.log;
}
