import { status } from '@grpc/grpc-js';
import { withoutSecrets } from '../../shared/platform/log.js';
import { RpcError } from '../../shared/wire/call.js';
import { AppError } from '../app/errors.js';
import { CommandError } from './command-error.js';

/** Typed failures of the adapters, by name: their messages name the place and the remedy. */
const expectedNames: ReadonlySet<string> = new Set([
  'ListenError',
  'CoordinatorUnreachable',
  'SecretFileError',
  'StorageUnavailable',
  'TracingError',
  'StorageInUse',
  'StorageOpenError',
  'BestConfigError',
  'MarketDataError',
  'SuggestInputError',
  'ResultsError',
  'SyntheticMarketError',
  'CandleCodecError',
]);

/** Failures whose message is meant for the user, in a line; anything else is a bug and is shown whole. No secrets in either. */
export const explain = (error: unknown): string => withoutSecrets(explained(error));

function explained(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof RpcError)
    return `the coordinator could not do it: ${error.message || 'it gave no reason'} (${status[error.code]})`;
  const known = error instanceof CommandError || error instanceof AppError || expectedNames.has(error.name);
  return known ? error.message : (error.stack ?? error.message);
}
