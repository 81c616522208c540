/**
 * The only converters between wire messages and core values. Enum tables are total in both directions: they stop
 * compiling when the contract or core grows.
 */
import { assertNever } from '../core/assert.js';
import type { ParameterValue, Params } from '../core/space/parameter.js';
import type { LeaseAnswer, StudyState } from '../core/study/study.js';
import type { ToldReason, Metrics, TrialState } from '../core/study/trial.js';
import {
  FailureReason as WireFailureReason,
  TrialState as WireTrialState,
  type ParameterValue as WireParameterValue,
} from './gen/parzen/v1/common.js';
import { LeaseAnswer as WireLeaseAnswer } from './gen/parzen/v1/trial.js';
import { StudyState as WireStudyState } from './gen/parzen/v1/study.js';

/** A message that breaks the contract; reaches the caller as INVALID_ARGUMENT. */
export class InvalidMessage extends Error {
  override readonly name = 'InvalidMessage';
}

export function valueToWire(value: ParameterValue): WireParameterValue {
  switch (typeof value) {
    case 'number':
      return { kind: { $case: 'number', value } };
    case 'string':
      return { kind: { $case: 'text', value } };
    case 'boolean':
      return { kind: { $case: 'flag', value } };
    case 'object':
      return {};
    default:
      return assertNever(value);
  }
}

export const valueFromWire = (value: WireParameterValue): ParameterValue => value.kind?.value ?? null;

export const paramsToWire = (params: Params): Record<string, WireParameterValue> =>
  Object.fromEntries(Object.entries(params).map(([name, value]) => [name, valueToWire(value)]));

/** Throws `InvalidMessage` for NaN, which is never a parameter's value. */
export function paramsFromWire(params: Readonly<Record<string, WireParameterValue>>): Params {
  return Object.fromEntries(
    Object.entries(params).map(([name, wire]) => {
      const value = valueFromWire(wire);
      if (typeof value === 'number' && !Number.isFinite(value))
        throw new InvalidMessage(`parameter '${name}' is ${value}; a parameter must be a finite number`);
      return [name, value];
    }),
  );
}

export const metricsFromWire = (metrics: Readonly<Record<string, number>>): Metrics => ({ ...metrics });

/** The inverse of a total table from core to wire. */
function inverse<C extends string, W extends string>(table: Readonly<Record<C, W>>): ReadonlyMap<string, C> {
  const entries = Object.entries<W>(table).map(([core, wire]): [string, C] => [wire, core as C]);
  return new Map(entries);
}

function decode<C>(table: ReadonlyMap<string, C>, wire: string, field: string): C {
  const value = table.get(wire);
  if (value === undefined)
    throw new InvalidMessage(`${field} is ${wire}; expected one of ${[...table.keys()].join(', ')}`);
  return value;
}

type Known<T extends string> = Exclude<T, 'UNRECOGNIZED' | `${string}_UNSPECIFIED`>;

const trialStates: Readonly<Record<TrialState, Known<WireTrialState>>> = {
  WAITING: WireTrialState.WAITING,
  RUNNING: WireTrialState.RUNNING,
  COMPLETE: WireTrialState.COMPLETE,
  PRUNED: WireTrialState.PRUNED,
  FAIL: WireTrialState.FAIL,
  CANCELLED: WireTrialState.CANCELLED,
};
const trialStatesBack = inverse(trialStates);
export const trialStateToWire = (state: TrialState): WireTrialState => trialStates[state];
export const trialStateFromWire = (state: WireTrialState): TrialState =>
  decode(trialStatesBack, state, 'state');

const failureReasons: Readonly<Record<ToldReason, Known<WireFailureReason>>> = {
  oom: WireFailureReason.OOM,
  diverged: WireFailureReason.DIVERGED,
  infeasible: WireFailureReason.INFEASIBLE,
  error: WireFailureReason.ERROR,
  timeout: WireFailureReason.TIMEOUT,
};
const failureReasonsBack = inverse(failureReasons);
export const failureReasonToWire = (reason: ToldReason): WireFailureReason => failureReasons[reason];
export const failureReasonFromWire = (reason: WireFailureReason): ToldReason =>
  decode(failureReasonsBack, reason, 'reason');

const leaseAnswers: Readonly<Record<LeaseAnswer, Known<WireLeaseAnswer>>> = {
  ok: WireLeaseAnswer.OK,
  cancel: WireLeaseAnswer.CANCEL,
  lost: WireLeaseAnswer.LOST,
};
const leaseAnswersBack = inverse(leaseAnswers);
export const leaseAnswerToWire = (answer: LeaseAnswer): WireLeaseAnswer => leaseAnswers[answer];
export const leaseAnswerFromWire = (answer: WireLeaseAnswer): LeaseAnswer =>
  decode(leaseAnswersBack, answer, 'answer');

const studyStates: Readonly<Record<StudyState, Known<WireStudyState>>> = {
  RUNNING: WireStudyState.RUNNING,
  PAUSED: WireStudyState.PAUSED,
  STOPPED: WireStudyState.STOPPED,
  FINISHED: WireStudyState.FINISHED,
};
const studyStatesBack = inverse(studyStates);
export const studyStateToWire = (state: StudyState): WireStudyState => studyStates[state];
export const studyStateFromWire = (state: WireStudyState): StudyState =>
  decode(studyStatesBack, state, 'state');
