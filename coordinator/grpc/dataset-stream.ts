import type { handleServerStreamingCall, ServerWritableStream } from '@grpc/grpc-js';
import { once } from 'node:events';
import type { DatasetHash } from '../../shared/core/ids.js';
import type { Log } from '../../shared/platform/log.js';
import type { FetchDatasetRequest, FetchDatasetResponse } from '../../shared/wire/gen/parzen/v1/trial.js';
import { AppError } from '../app/errors.js';
import type { Storage } from '../storage/port.js';
import { asServiceError } from './handlers.js';

type Stream = ServerWritableStream<FetchDatasetRequest, FetchDatasetResponse>;

/** Streams a data set chunk by chunk, waiting for the reader; NOT_FOUND for an unknown hash. */
export function fetchDatasetHandler(
  storage: Storage,
  log: Log,
  checkedHash: (hash: string) => DatasetHash,
): handleServerStreamingCall<FetchDatasetRequest, FetchDatasetResponse> {
  return (call) => {
    sendDataset(storage, call, checkedHash).then(
      () => call.end(),
      (error: unknown) =>
        call.destroy(Object.assign(new Error('failed'), asServiceError(log, call.getPath(), error))),
    );
  };
}

async function sendDataset(
  storage: Storage,
  call: Stream,
  checkedHash: (hash: string) => DatasetHash,
): Promise<void> {
  const hash = checkedHash(call.request.hash);
  const gone = new AbortController();
  call.once('cancelled', () => gone.abort());
  let sent = 0;
  for await (const chunk of storage.readDataset(hash)) {
    if (gone.signal.aborted) return;
    sent += 1;
    if (!call.write({ chunk: Buffer.from(chunk) }))
      await once(call, 'drain', { signal: gone.signal }).catch(() => undefined);
  }
  if (sent === 0) throw new AppError('not-found', `there is no data set with hash ${hash}`);
}
