/**
 * What stands before TLS: an address may hold so many connections, and each has to get through its handshake in time. Whoever only
 * opens connections would otherwise hold memory and file descriptors for minutes at no cost.
 */
import type { Server } from '@grpc/grpc-js';
import type { Http2SecureServer, ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Clock } from '../../shared/platform/clock.js';
import type { Log } from '../../shared/platform/log.js';
import { connectionsMax, handshakeMs } from './limits.js';

export interface ConnectionLimits {
  /** Connections that one address may hold. */
  readonly connectionsMax: number;
  /** Time for a TLS handshake, ms. */
  readonly handshakeMs: number;
}

export const connectionLimits: ConnectionLimits = { connectionsMax, handshakeMs };

interface LimitOptions {
  readonly limits: ConnectionLimits;
  readonly tls: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** Refused connections are told of at most this often, ms: there may be thousands a second. */
const toldEveryMs = 60_000;

/** The library has no way to its listeners but this member. */
function listenersOf(server: Server): readonly Http2SecureServer[] {
  const { http2Servers } = server as unknown as {
    readonly http2Servers?: ReadonlyMap<Http2SecureServer, unknown>;
  };
  if (http2Servers === undefined || http2Servers.size === 0)
    throw new Error('the gRPC library no longer shows its listeners: connections cannot be limited');
  return [...http2Servers.keys()];
}

/** Limits the connections of every address that the server is bound to by now. */
export function limitConnections(server: Server, { limits, tls, clock, log }: LimitOptions): void {
  const open = new Map<string, number>();
  /** Sockets in their handshake, by their far end. */
  const shaking = new Map<string, NodeJS.Timeout>();
  /** Plain connections that are to be ended as soon as they have a session. */
  const turnedAway = new Set<string>();
  let refused = 0;
  let toldAtMs = -Infinity;
  const farEnd = ({ remoteAddress, remotePort }: Socket): string =>
    `${remoteAddress ?? ''} ${remotePort ?? 0}`;
  const refuse = (socket: Socket, peer: string, why: string): void => {
    refused += 1;
    if (clock.nowMs() - toldAtMs >= toldEveryMs) {
      log.warn({ peer, reason: why, refused }, 'connections refused');
      toldAtMs = clock.nowMs();
      refused = 0;
    }
    // Not at once: the listeners behind this one still look at it. In plain a session has taken it over by then.
    if (tls) setImmediate(() => socket.destroy());
    else turnedAway.add(farEnd(socket));
  };
  const connected = (socket: Socket): void => {
    const peer = socket.remoteAddress ?? 'unknown';
    const end = farEnd(socket);
    const held = (open.get(peer) ?? 0) + 1;
    open.set(peer, held);
    socket.once('close', () => {
      const left = (open.get(peer) ?? 1) - 1;
      if (left > 0) open.set(peer, left);
      else open.delete(peer);
      clearTimeout(shaking.get(end));
      shaking.delete(end);
      turnedAway.delete(end);
    });
    if (held > limits.connectionsMax)
      refuse(socket, peer, `more than ${limits.connectionsMax} connections from one address`);
    else if (tls)
      shaking.set(
        end,
        setTimeout(() => refuse(socket, peer, 'the TLS handshake took too long'), limits.handshakeMs).unref(),
      );
  };
  const secured = (socket: Socket): void => {
    clearTimeout(shaking.get(farEnd(socket)));
    shaking.delete(farEnd(socket));
  };
  const began = (session: ServerHttp2Session): void => {
    if (turnedAway.delete(farEnd(session.socket))) session.destroy();
  };
  for (const listener of listenersOf(server)) {
    listener.prependListener('connection', connected);
    if (tls) listener.prependListener('secureConnection', secured);
    else listener.prependListener('session', began);
  }
}
