/** A GET that is tried again while the other side asks for patience or is out of order. */
import { systemClock, type Clock } from '../../shared/platform/clock.js';
import { MarketDataError } from './kline-error.js';
import { marketDataLimits } from './limits.js';

export interface HttpContext {
  readonly fetch: typeof globalThis.fetch;
  /** Ends the request and all waiting; the call then rejects with its reason. */
  readonly signal?: AbortSignal;
  /** For the waits, and for a Retry-After given as a date; the system's when absent. */
  readonly clock?: Clock;
  /** Uniform on [0, 1), spreads the waits; `Math.random` when absent. */
  readonly random?: () => number;
}

type Attempt =
  | { readonly kind: 'body'; readonly body: string }
  /** Worth another try; `waitMs` is what the other side asked for, null when it did not say. */
  | { readonly kind: 'retry'; readonly why: string; readonly waitMs: number | null };

/**
 * The body of a successful answer. 429, 418 (Binance: banned for a while), 5xx, time-outs and lost connections are
 * retried `attemptsMax` times with doubling waits, or after the time given by Retry-After. Everything else rejects at
 * once with `MarketDataError` and what the server said.
 */
export async function requestWithRetry(url: URL, context: HttpContext): Promise<string> {
  const { attemptsMax, backoffMs, backoffMsMax, retryAfterMsMax } = marketDataLimits;
  const clock = context.clock ?? systemClock;
  const random = context.random ?? Math.random;
  let why = '';
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    context.signal?.throwIfAborted();
    const result = await attemptOnce(url, context);
    if (result.kind === 'body') return result.body;
    why = result.why;
    if (result.waitMs !== null && result.waitMs > retryAfterMsMax)
      throw new MarketDataError(
        `${url.host} asks to wait ${Math.ceil(result.waitMs / 1000)} s (${why}); try again after that`,
      );
    if (attempt + 1 === attemptsMax) break;
    const backoff = Math.min(backoffMs * 2 ** attempt, backoffMsMax) * (0.5 + random() / 2);
    await clock.sleep(result.waitMs ?? backoff, context.signal);
  }
  throw new MarketDataError(`${url.host} gave no answer in ${attemptsMax} attempts; the last one: ${why}`);
}

async function attemptOnce(url: URL, context: HttpContext): Promise<Attempt> {
  const timeout = AbortSignal.timeout(marketDataLimits.requestTimeoutMs);
  const signal = context.signal === undefined ? timeout : AbortSignal.any([context.signal, timeout]);
  try {
    const response = await context.fetch(url, { signal, redirect: 'error' });
    if (response.ok) return { kind: 'body', body: await readText(response, url) };
    return await refusal(response, url, context.clock ?? systemClock);
  } catch (error) {
    if (context.signal?.aborted === true || error instanceof MarketDataError) throw error;
    if (timeout.aborted) return { kind: 'retry', why: 'no answer in time', waitMs: null };
    // fetch rejects with a TypeError for every failure of the connection; its cause says which.
    if (!(error instanceof TypeError)) throw error;
    return { kind: 'retry', why: connectionText(error), waitMs: null };
  }
}

async function refusal(response: Response, url: URL, clock: Clock): Promise<Attempt> {
  const body = (await readText(response, url)).replaceAll(/\s+/g, ' ').slice(0, 200);
  const why = `HTTP ${response.status}${body === '' ? '' : `: ${body}`}`;
  const isTemporary = response.status === 429 || response.status === 418 || response.status >= 500;
  if (isTemporary) return { kind: 'retry', why, waitMs: retryAfterMs(response.headers, clock) };
  const remedy =
    response.status === 451
      ? 'the exchange does not serve this location; import a downloaded file instead'
      : 'check symbol, interval, period and address';
  throw new MarketDataError(`${url.host} refused the request (${why}); ${remedy}`);
}

/** Retry-After in milliseconds: a number of seconds or a date; null when absent or unreadable. */
function retryAfterMs(headers: Headers, clock: Clock): number | null {
  const text = headers.get('retry-after');
  if (text === null) return null;
  if (/^\d{1,9}$/.test(text.trim())) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - clock.nowMs());
}

async function readText(response: Response, url: URL): Promise<string> {
  if (response.body === null) return '';
  const parts: Uint8Array[] = [];
  let bytes = 0;
  const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    bytes += next.value.byteLength;
    if (bytes > marketDataLimits.pageBytesMax) {
      await reader.cancel();
      throw new MarketDataError(`${url.host} answered with more than ${marketDataLimits.pageBytesMax} bytes`);
    }
    parts.push(next.value);
  }
  return Buffer.concat(parts).toString('utf8');
}

function connectionText(error: TypeError): string {
  const cause = error.cause;
  return cause instanceof Error && cause.message !== '' ? cause.message : error.message;
}
