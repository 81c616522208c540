/** The `failure` section: what becomes of a trial that brings no result (architecture §5). */
import { isScalar } from 'yaml';
import type { FailurePolicy } from '../../shared/core/study/definition.js';
import { studyFileLimits } from './limits.js';
import { readNumber, shown, type MapReader, type ReadContext } from './map-reader.js';
import { failureDefaults } from './study-defaults.js';

const retries = { whole: true, low: 0, high: studyFileLimits.retriesMax };

/** The policy, defaults filled in. */
export function readFailure(context: ReadContext, root: MapReader): FailurePolicy {
  const map = root.section('failure');
  if (map === null) return failureDefaults;
  const defaults = failureDefaults;
  const diverged = map.word('diverged', ['value', 'prune', 'fail'], defaults.diverged);
  const divergedValue = map.find('diverged_value');
  if (divergedValue !== null && diverged !== 'value')
    context.problems.add(divergedValue.place, 'has no effect without diverged: value; remove it');
  const policy: FailurePolicy = {
    oom: map.word('oom', ['retry-bigger-gpu', 'prune', 'fail'], defaults.oom),
    diverged,
    divergedValue: map.number('diverged_value', {}, defaults.divergedValue),
    errorRetriesMax: map.number('error_retries', retries, defaults.errorRetriesMax),
    timeoutRetriesMax: map.number('timeout_retries', retries, defaults.timeoutRetriesMax),
    lostRetriesMax: map.number('lost_retries', retries, defaults.lostRetriesMax),
    stallTimeoutSeconds: readSeconds(context, map, 'stall_timeout') ?? defaults.stallTimeoutSeconds,
    trialTimeoutSeconds: readSeconds(context, map, 'trial_timeout') ?? defaults.trialTimeoutSeconds,
  };
  map.finish();
  return policy;
}

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

/** A duration: a number of seconds, or a text such as 90s, 15m or 4h. Null when absent or, with a problem, wrong. */
function readSeconds(context: ReadContext, map: MapReader, key: string): number | null {
  const value = map.find(key);
  if (value === null) return null;
  const text = isScalar(value.node) ? value.node.value : null;
  if (typeof text === 'number')
    return readNumber(context, value, { low: 0, lowExclusive: true, high: studyFileLimits.secondsMax });
  const match = typeof text === 'string' ? /^(\d+(?:\.\d+)?) ?([smh])$/.exec(text) : null;
  const seconds = Number(match?.[1]) * (unitSeconds[match?.[2] ?? ''] ?? Number.NaN);
  if (seconds > 0 && seconds <= studyFileLimits.secondsMax) return seconds;
  context.problems.add(
    value.place,
    `is ${shown(value)}, expected seconds above 0 or a duration such as 90s, 15m or 4h, 30 days at most`,
  );
  return null;
}
