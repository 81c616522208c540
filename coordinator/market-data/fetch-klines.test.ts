import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { candleCount } from '../../shared/core/market/candles.js';
import type { Clock } from '../../shared/platform/clock.js';
import { fetchKlines, type FetchKlinesOptions } from './fetch-klines.js';
import { MarketDataError } from './kline-error.js';

const hour = 3_600_000;
const start = Date.UTC(2024, 0, 1);

/** A row as the exchange's REST interface gives it: numbers for times and counts, texts for amounts. */
const rowAt = (openTime: number): unknown[] => {
  const price = String(100 + (openTime - start) / hour / 10);
  const amounts = [price, price, price, price, '5.5'];
  return [openTime, ...amounts, openTime + hour - 1, '550.5', 12, '2.5', '250.25', '0'];
};

type Handler = (request: URL, response: ServerResponse) => void;
const servers: ReturnType<typeof createServer>[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A loopback server that answers each request with `handler`; resolves to its address and the requests it saw. */
async function serve(handler: Handler): Promise<{ baseUrl: string; requests: URL[] }> {
  const requests: URL[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    const url = new URL(request.url ?? '/', 'http://loopback');
    requests.push(url);
    handler(url, response);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { baseUrl: `http://127.0.0.1:${address.port}`, requests };
}

const sendJson = (response: ServerResponse, body: unknown, status = 200): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};

/** Imitates the endpoint: bars on the hour between startTime and endTime, at most `limit`, without those in `missing`. */
const exchange =
  (listedFrom: number, formingAt: number, missing: ReadonlySet<number> = new Set()): Handler =>
  (url, response) => {
    const number = (name: string): number => Number(url.searchParams.get(name));
    const rows: unknown[] = [];
    const first = Math.ceil(Math.max(number('startTime'), listedFrom) / hour) * hour;
    for (let time = first; time <= Math.min(number('endTime'), formingAt); time += hour) {
      if (rows.length < number('limit') && !missing.has(time)) rows.push(rowAt(time));
    }
    sendJson(response, rows);
  };

/** A clock that stands still; waiting is instant and remembered. */
function stillClock(): Clock & { waits: number[] } {
  const waits: number[] = [];
  return {
    waits,
    nowMs: () => start,
    sleep: (ms) => {
      waits.push(ms);
      return Promise.resolve();
    },
  };
}

const optionsFor = (baseUrl: string, change: Partial<FetchKlinesOptions> = {}): FetchKlinesOptions => ({
  symbol: 'BTCUSDT',
  interval: '1h',
  from: start,
  to: start + 10 * hour,
  baseUrl,
  fetch: globalThis.fetch,
  nowMs: start + 1000 * 24 * hour,
  clock: stillClock(),
  random: () => 1,
  ...change,
});

describe('fetchKlines', () => {
  it('pages through a long period and asks for each bar once', async () => {
    const { baseUrl, requests } = await serve(exchange(start, start + 5000 * hour));
    const rows: number[] = [];
    const { candles, report } = await fetchKlines(
      optionsFor(baseUrl, { to: start + 2500 * hour, progress: (count) => rows.push(count) }),
    );
    expect(candleCount(candles)).toBe(2500);
    expect(report.gaps).toEqual([]);
    expect(rows).toEqual([1000, 2000, 2500]);
    expect(requests.map((url) => url.pathname)).toEqual(Array(3).fill('/api/v3/klines'));
    expect(Object.fromEntries(requests[1]!.searchParams)).toEqual({
      symbol: 'BTCUSDT',
      interval: '1h',
      startTime: String(start + 999 * hour + 1),
      endTime: String(start + 2500 * hour - 1),
      limit: '1000',
    });
    expect(candles.close[2499]).toBe(100 + 249.9);
  });

  it('leaves out the bar that is still forming', async () => {
    const now = start + 5 * hour + 120_000;
    const { baseUrl } = await serve(exchange(start, start + 5 * hour));
    const { candles } = await fetchKlines(optionsFor(baseUrl, { nowMs: now }));
    expect(candles.openTimeMs.at(-1)).toBe(start + 4 * hour);
    const atItsEnd = await fetchKlines(optionsFor(baseUrl, { nowMs: start + 6 * hour - 1 }));
    expect(atItsEnd.candles.openTimeMs.at(-1)).toBe(start + 4 * hour);
    // One millisecond after its last one, the bar has closed.
    const later = await fetchKlines(optionsFor(baseUrl, { nowMs: start + 6 * hour }));
    expect(later.candles.openTimeMs.at(-1)).toBe(start + 5 * hour);
  });

  it('starts where the market was listed and goes over gaps, also at the end of a page', async () => {
    const missing = new Set([1000, 1001, 1002].map((index) => start + (index + 100) * hour));
    const { baseUrl } = await serve(exchange(start + 100 * hour, start + 2000 * hour, missing));
    const { candles, report } = await fetchKlines(optionsFor(baseUrl, { to: start + 1900 * hour }));
    expect(candles.openTimeMs[0]).toBe(start + 100 * hour);
    expect(candleCount(candles)).toBe(1900 - 100 - 3);
    expect(report.missingBars).toBe(3);
  });

  it('waits and tries again on 429, 418 and 5xx, as long as it was told to', async () => {
    const answers: [number, Record<string, string>][] = [
      [429, { 'retry-after': '7' }],
      [503, {}],
      [418, { 'retry-after': new Date(start + 90_000).toUTCString() }],
      [500, {}],
    ];
    const good = exchange(start, start + 100 * hour);
    const { baseUrl, requests } = await serve((url, response) => {
      const answer = answers.shift();
      if (answer === undefined) good(url, response);
      else response.writeHead(answer[0], answer[1]).end('busy');
    });
    const clock = stillClock();
    const { candles } = await fetchKlines(optionsFor(baseUrl, { clock }));
    expect(candleCount(candles)).toBe(10);
    expect(requests).toHaveLength(5);
    // 500 ms doubled per attempt, unless the server said otherwise.
    expect(clock.waits).toEqual([7000, 1000, 90_000, 4000]);
  });

  it('gives up after the last attempt, and at once when told to wait very long', async () => {
    const busy = await serve((_, response) => {
      response.writeHead(502).end('bad gateway');
    });
    const clock = stillClock();
    await expect(fetchKlines(optionsFor(busy.baseUrl, { clock }))).rejects.toThrow(
      /gave no answer in 8 attempts; the last one: HTTP 502: bad gateway/,
    );
    expect(clock.waits).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 32_000]);
    const banned = await serve((_, response) => {
      response.writeHead(418, { 'retry-after': '86400' }).end();
    });
    await expect(fetchKlines(optionsFor(banned.baseUrl))).rejects.toThrow('asks to wait 86400 s');
    expect(banned.requests).toHaveLength(1);
  });

  it('retries a connection that breaks, and says so when nobody is there', async () => {
    const good = exchange(start, start + 100 * hour);
    let broken = 2;
    const { baseUrl } = await serve((url, response) => {
      if (broken-- > 0) response.destroy();
      else good(url, response);
    });
    expect(candleCount((await fetchKlines(optionsFor(baseUrl))).candles)).toBe(10);
    await expect(fetchKlines(optionsFor('http://127.0.0.1:1'))).rejects.toThrow(
      /127\.0\.0\.1:1 gave no answer in 8/,
    );
  });

  it('passes on a refusal with what the exchange said, without a second try', async () => {
    const { baseUrl, requests } = await serve((_, response) => {
      sendJson(response, { code: -1121, msg: 'Invalid symbol.' }, 400);
    });
    await expect(fetchKlines(optionsFor(baseUrl))).rejects.toThrow(
      /HTTP 400: .*Invalid symbol.*check symbol/,
    );
    expect(requests).toHaveLength(1);
    const blocked = await serve((_, response) => {
      response.writeHead(451).end();
    });
    await expect(fetchKlines(optionsFor(blocked.baseUrl))).rejects.toThrow('does not serve this location');
  });

  it('refuses answers that are not klines', async () => {
    const answering = async (body: string): Promise<unknown> => {
      const { baseUrl } = await serve((_, response) => response.writeHead(200).end(body));
      return fetchKlines(optionsFor(baseUrl)).catch((error: unknown) => error);
    };
    const cases: [string, string][] = [
      ['<html>', 'did not answer in JSON: <html>'],
      ['{"a":1}', 'did not answer with a list of klines'],
      ['[[1,2,3]]', 'row 1 of the answer: expected 12 columns'],
      ['["x"]', 'row 1 of the answer: expected 12 columns'],
      [
        JSON.stringify([rowAt(start), [...rowAt(start + hour).slice(0, 4), null, ...rowAt(start).slice(5)]]),
        'row 2 of the answer, column 5: close is empty',
      ],
      [JSON.stringify([rowAt(start - hour)]), 'outside the period asked for'],
      [JSON.stringify([rowAt(start + hour), rowAt(start)]), 'sort the rows by time'],
      ['[]', 'has no closed bars of BTCUSDT 1h between 2024-01-01T00:00:00.000Z'],
      [`["${'x'.repeat(9_000_000)}"]`, 'answered with more than 8388608 bytes'],
    ];
    for (const [body, message] of cases) {
      const error = await answering(body);
      expect(error).toBeInstanceOf(MarketDataError);
      expect(error).toMatchObject({ message: expect.stringContaining(message) });
    }
  });

  it('checks what it is asked for before it asks', async () => {
    const ask = (change: Partial<FetchKlinesOptions>): Promise<unknown> =>
      fetchKlines(optionsFor('http://127.0.0.1:1', change));
    await expect(ask({ symbol: 'btc/usdt' })).rejects.toThrow('symbol "btc/usdt": expected capital letters');
    await expect(ask({ interval: 'hourly' })).rejects.toThrow(
      'interval "hourly": expected one such as 1m, 1h',
    );
    await expect(ask({ from: start, to: start })).rejects.toThrow('the start must lie before the end');
    await expect(ask({ from: Number.NaN })).rejects.toThrow('period from NaN');
  });

  it('stops at once when aborted, also while waiting', async () => {
    const controller = new AbortController();
    const { baseUrl, requests } = await serve((_, response) => {
      response.writeHead(503).end();
    });
    const clock: Clock = {
      nowMs: () => start,
      sleep: () => {
        controller.abort(new Error('enough'));
        return Promise.resolve();
      },
    };
    await expect(fetchKlines(optionsFor(baseUrl, { clock, signal: controller.signal }))).rejects.toThrow(
      'enough',
    );
    expect(requests).toHaveLength(1);
  });
});
