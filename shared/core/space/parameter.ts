/**
 * The parameters of a search space (tpe.md §3). A parameter says which values are legal and how the sampler sees
 * them (its *internal value*: the number itself, or the 0-based index of a choice). Construction and grid rules
 * are in `make-parameter.ts`.
 */
export type ParameterValue = number | string | boolean | null;

export interface FloatParameter {
  readonly kind: 'float';
  readonly name: string;
  readonly low: number;
  /** Already lowered to the grid when there is a step. */
  readonly high: number;
  readonly log: boolean;
  readonly step: number | null;
}

export interface IntParameter {
  readonly kind: 'int';
  readonly name: string;
  readonly low: number;
  /** Already lowered to the grid. */
  readonly high: number;
  readonly log: boolean;
  readonly step: number;
}

export interface CategoricalParameter {
  readonly kind: 'categorical';
  readonly name: string;
  readonly choices: readonly ParameterValue[];
}

export type NumericParameter = FloatParameter | IntParameter;
export type Parameter = NumericParameter | CategoricalParameter;

/** A search space in the order in which its parameters are asked for (the order of the study file). */
export type Space = readonly Parameter[];

/** Values by parameter name. */
export type Params = Readonly<Record<string, ParameterValue>>;
