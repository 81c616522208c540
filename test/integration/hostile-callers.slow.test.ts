/** Callers that mean harm, with a token and without: none holds more than its share, or for longer than its time. */
import { Metadata, credentials, status } from '@grpc/grpc-js';
import { connect, constants } from 'node:http2';
import { readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { StudyServiceClient } from '../../shared/wire/gen/parzen/v1/study.js';
import { requestArrivalMs } from '../../coordinator/grpc/limits.js';
import { fixture, trusting, closing, closeAll, guarded, clients } from '../helpers/guarded.js';

afterEach(closeAll);

describe('callers that mean harm', () => {
  it('cannot send more than a message may have', async () => {
    const { server, token } = await guarded({ tls: false });
    const secret = await token('admin');
    const study = new StudyServiceClient(server.address, credentials.createInsecure());
    closing.push(() => study.close());
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${secret}`);
    const request = { definitionText: 'x'.repeat(5 * 1024 * 1024), trials: 0, dataset: '' };
    const code = await new Promise((resolve) =>
      study.createStudy(request, metadata, (error) => resolve(error?.code)),
    );
    expect(code).toBe(status.RESOURCE_EXHAUSTED);
    expect(await clients(server.address, { tls: null, token: secret }).list()).toBe(status.OK);
  });

  /** A connection that says nothing, and whether it is still there. */
  const silent = async (address: string): Promise<{ gone: () => boolean; end: () => void }> => {
    const [host = '', port = ''] = address.split(':');
    const socket = createConnection({ host, port: Number(port) });
    closing.push(() => socket.destroy());
    let gone = false;
    // Without reading it would not see the end.
    socket
      .resume()
      .on('close', () => (gone = true))
      .on('error', () => undefined);
    await new Promise((resolve) => socket.once('connect', resolve));
    return { gone: () => gone, end: () => socket.destroy() };
  };

  it.each([
    ['over TLS', true],
    ['in plain', false],
  ])('cannot hold more connections than one address may, %s', async (_, tls) => {
    const connections = { connectionsMax: 3, handshakeMs: 60_000 };
    const { server, token, logged } = await guarded({ tls, connections });
    const held = [await silent(server.address), await silent(server.address), await silent(server.address)];
    const further = [await silent(server.address), await silent(server.address)];
    await expect.poll(() => further.map(({ gone }) => gone())).toEqual([true, true]);
    expect(held.map(({ gone }) => gone())).toEqual([false, false, false]);
    const refusals = logged.filter((line) => line.startsWith('connections refused'));
    expect(refusals).toHaveLength(1);
    expect(refusals[0]).toContain('more than 3 connections from one address');
    // Whoever goes makes room.
    held[0]?.end();
    const security = { tls: tls ? trusting('ca.crt') : null, token: await token('read') };
    await expect.poll(() => clients(server.address, security).list()).toBe(status.OK);
  });

  it('cannot hold a connection without getting through its handshake', async () => {
    const connections = { connectionsMax: 100, handshakeMs: 300 };
    const { server, token } = await guarded({ connections });
    const { list } = clients(server.address, { tls: trusting('ca.crt'), token: await token('read') });
    expect(await list()).toBe(status.OK);
    const idle = await silent(server.address);
    await expect.poll(idle.gone, { timeout: 5_000 }).toBe(true);
    // A connection that did is not ended by the clock of its handshake.
    const session = connect(`https://localhost:${server.address.split(':')[1] ?? ''}`, {
      ca: readFileSync(fixture('ca.crt')),
    });
    closing.push(() => session.destroy());
    await new Promise((resolve) => session.once('connect', resolve));
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(session.destroyed).toBe(false);
  });

  it.each([
    ['with a token', true],
    ['nor where nobody is asked for one', false],
  ])('cannot hold a call open by sending a request slowly, %s', async (_, tokens) => {
    const { server, token, clock, refusals } = await guarded({ tls: false, tokens });
    const secret = await token('admin');
    const session = connect(`http://${server.address}`);
    closing.push(() => session.destroy());
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: '/parzen.v1.StudyService/ListStudies',
      'content-type': 'application/grpc',
      te: 'trailers',
      authorization: `Bearer ${secret}`,
    });
    // The first byte of a message's five-byte head, and then nothing.
    stream.write(Buffer.from([0]));
    const answered = new Promise((resolve) => {
      stream.on('response', (headers) => resolve(headers['grpc-status']));
      stream.on('trailers', (headers) => resolve(headers['grpc-status']));
    });
    await expect.poll(() => clock.waiting(requestArrivalMs)).toBe(1);
    clock.wake(requestArrivalMs);
    expect(Number(await answered)).toBe(status.DEADLINE_EXCEEDED);
    expect(refusals).toEqual(['slow']);
  });
});
