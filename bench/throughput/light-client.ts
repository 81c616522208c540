/**
 * A gRPC client that costs next to nothing, so that a load generator on the same machine measures the server and not itself: unary
 * calls on one plain HTTP/2 connection, with headers that are the same bytes every time. What goes over the wire is what any client
 * sends; what comes back is read as far as unary calls of a well-behaved server need it: a call whose stream ends with a
 * message was answered, any other has failed.
 */
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';

const frames = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const;
const endStream = 0x1;
const acknowledged = 0x1;
const endHeaders = 0x4;
const frameHead = 9;
const messageHead = 5;
const initialWindow = 65_535;
const wideWindow = 2 ** 30;

interface Open {
  readonly resolve: (message: Uint8Array) => void;
  readonly reject: (error: Error) => void;
  parts: Uint8Array[];
}

/** A header field as HPACK writes it when nothing is to be remembered and nothing compressed. */
function field(name: string | number, value: string): Buffer {
  const text = (each: string): Buffer => Buffer.concat([Buffer.from([each.length]), Buffer.from(each)]);
  // An index up to 14 fits into the first byte, up to 141 into a second one.
  const head =
    typeof name === 'string'
      ? Buffer.concat([Buffer.from([0]), text(name)])
      : Buffer.from(name < 15 ? [name] : [15, name - 15]);
  return Buffer.concat([head, text(value)]);
}

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(frameHead + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, frameHead);
  return bytes;
}

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** Static table: `:method POST` is 3, `:scheme http` 6, `:path` 4, `:authority` 1, `content-type` 31. */
export const headersOf = (path: string, authority: string, timeoutMs: number): Buffer =>
  Buffer.concat([
    Buffer.from([0x80 | 3, 0x80 | 6]),
    ...[field(4, path), field(1, authority), field(31, 'application/grpc'), field('te', 'trailers')],
    field('grpc-timeout', `${timeoutMs}m`),
  ]);

export class LightClient {
  readonly #socket: Socket;
  readonly #open = new Map<number, Open>();
  #nextStream = 1;
  #unsent: Buffer[] = [];
  /** What the server still takes on this connection, bytes; calls wait in `#held` for more. */
  #window = initialWindow;
  readonly #held: { readonly bytes: Buffer; readonly data: number }[] = [];
  #received: Buffer = Buffer.alloc(0);
  #unacknowledged = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes) => this.#read(bytes));
    const fail = (): void => this.#fail(new Error('the connection has ended'));
    socket.on('error', fail).on('close', fail);
    const settings = Buffer.alloc(18);
    // No table of headers, no pushes, wide windows.
    settings.writeUInt16BE(1, 0);
    settings.writeUInt16BE(2, 6);
    settings.writeUInt16BE(4, 12);
    settings.writeUInt32BE(wideWindow, 14);
    this.#send(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'));
    this.#send(frame(frames.settings, 0, 0, settings));
    this.#send(frame(frames.windowUpdate, 0, 0, uint32(wideWindow)));
  }

  /** `address`: `host:port`. */
  static async connect(address: string): Promise<LightClient> {
    const colon = address.lastIndexOf(':');
    const socket = connect(Number(address.slice(colon + 1)), address.slice(0, colon));
    await once(socket, 'connect');
    return new LightClient(socket);
  }

  /** One unary call; `headers` from `headersOf`. Resolves with the answer's bytes; rejects where the connection has ended. */
  call(headers: Uint8Array, message: Uint8Array): Promise<Uint8Array> {
    if (this.#socket.destroyed) return Promise.reject(new Error('the connection has ended'));
    const stream = this.#nextStream;
    this.#nextStream += 2;
    const data = messageHead + message.length;
    const bytes = Buffer.allocUnsafe(2 * frameHead + headers.length + data);
    bytes.writeUIntBE(headers.length, 0, 3);
    bytes[3] = frames.headers;
    bytes[4] = endHeaders;
    bytes.writeUInt32BE(stream, 5);
    bytes.set(headers, frameHead);
    const at = frameHead + headers.length;
    bytes.writeUIntBE(data, at, 3);
    bytes[at + 3] = frames.data;
    bytes[at + 4] = endStream;
    bytes.writeUInt32BE(stream, at + 5);
    bytes[at + frameHead] = 0;
    bytes.writeUInt32BE(message.length, at + frameHead + 1);
    bytes.set(message, at + frameHead + messageHead);
    return new Promise((resolve, reject) => {
      this.#open.set(stream, { resolve, reject, parts: [] });
      this.#held.push({ bytes, data });
      this.#sendHeld();
    });
  }

  /** Ends the connection; calls under way reject. */
  close(): void {
    this.#socket.destroy();
  }

  #sendHeld(): void {
    for (let next = this.#held[0]; next !== undefined && next.data <= this.#window; next = this.#held[0]) {
      this.#held.shift();
      this.#window -= next.data;
      this.#send(next.bytes);
    }
  }

  /** What is sent in one turn goes out together. */
  #send(bytes: Buffer): void {
    if (this.#unsent.push(bytes) > 1) return;
    setImmediate(() => {
      const unsent = this.#unsent;
      this.#unsent = [];
      if (!this.#socket.destroyed) this.#socket.write(unsent.length === 1 ? bytes : Buffer.concat(unsent));
    });
  }

  #read(bytes: Buffer): void {
    const all = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    let at = 0;
    while (all.length - at >= frameHead) {
      const end = at + frameHead + all.readUIntBE(at, 3);
      if (end > all.length) break;
      this.#take(
        all[at + 3] ?? 0,
        all[at + 4] ?? 0,
        all.readUInt32BE(at + 5),
        all.subarray(at + frameHead, end),
      );
      at = end;
    }
    this.#received = all.subarray(at);
  }

  #take(type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === frames.data) {
      this.#open.get(stream)?.parts.push(payload);
      this.#unacknowledged += payload.length;
      if (this.#unacknowledged > wideWindow / 2) {
        this.#send(frame(frames.windowUpdate, 0, 0, uint32(this.#unacknowledged)));
        this.#unacknowledged = 0;
      }
    } else if (type === frames.windowUpdate && stream === 0) {
      this.#window += payload.readUInt32BE(0);
      this.#sendHeld();
    } else if (type === frames.settings && (flags & acknowledged) === 0)
      this.#send(frame(frames.settings, acknowledged, 0, Buffer.alloc(0)));
    else if (type === frames.ping && (flags & acknowledged) === 0)
      this.#send(frame(frames.ping, acknowledged, 0, payload));
    const ends = (type === frames.data || type === frames.headers) && (flags & endStream) !== 0;
    if (ends || type === frames.reset) this.#end(stream);
  }

  #end(stream: number): void {
    const open = this.#open.get(stream);
    if (open === undefined) return;
    this.#open.delete(stream);
    const [first = Buffer.alloc(0)] = open.parts;
    const whole = open.parts.length > 1 ? Buffer.concat(open.parts) : first;
    if (whole.length >= messageHead) open.resolve(whole.subarray(messageHead));
    else open.reject(new Error('the call failed'));
  }

  #fail(error: Error): void {
    for (const { reject } of this.#open.values()) reject(error);
    this.#open.clear();
  }
}
