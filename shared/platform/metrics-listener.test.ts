import { Counter, Registry } from 'prom-client';
import { afterEach, expect, it } from 'vitest';
import { startWatchListener } from './metrics-listener.js';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

it('counters have the same names for every reader, whoever came before', async () => {
  const registry = new Registry();
  new Counter({ name: 'things_total', help: 'Things', registers: [registry] }).inc(2);
  const listener = await startWatchListener({
    ...{ listen: '127.0.0.1:0', option: '--metrics', registry, ready: () => true },
  });
  closing.push(() => listener.close());
  const page = async (accept: string): Promise<string> =>
    (await fetch(`http://${listener.address}/metrics`, { headers: { accept } })).text();
  const plain = '# HELP things_total Things\n# TYPE things_total counter\nthings_total 2\n';
  const open = '# HELP things Things\n# TYPE things counter\nthings_total 2\n# EOF\n';
  expect(await page('text/plain')).toBe(plain);
  for (let round = 0; round < 2; round += 1) {
    expect(await page('application/openmetrics-text')).toBe(open);
    expect(await page('text/plain')).toBe(plain);
  }
  expect(await Promise.all(['text/plain', 'application/openmetrics-text', '*/*'].map(page))).toEqual([
    ...[plain, open, plain],
  ]);
});
