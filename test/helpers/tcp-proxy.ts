/** A TCP way between two real programs that can be cut, slowed down and made to swallow what is sent. */
import net from 'node:net';

/** Where a connection goes: a port of this machine, or a Unix socket. */
export type ProxyTarget = { readonly host: string; readonly port: number } | { readonly path: string };

/**
 * `pass`: as if it were not there. `slow`: every piece arrives later, in order. `deaf`: requests arrive, answers do not.
 * `blackhole`: nothing arrives, in either direction, and nothing says so. `refuse`: new connections end at once.
 */
export type ProxyMode = 'pass' | 'slow' | 'deaf' | 'blackhole' | 'refuse';

/** One direction of a connection; pieces leave in the order in which they came, whatever delays change meanwhile. */
class Direction {
  readonly #to: net.Socket;
  #last: Promise<void> = Promise.resolve();
  /** It has swallowed something: in TCP nothing can arrive behind a gap. */
  lossy = false;

  constructor(to: net.Socket) {
    this.#to = to;
  }

  write(data: Buffer, delayMs: number): void {
    this.#later(delayMs, () => this.#to.write(data));
  }

  end(delayMs: number): void {
    this.#later(delayMs, () => this.#to.end());
  }

  #later(delayMs: number, deliver: () => void): void {
    const dueMs = performance.now() + delayMs;
    this.#last = this.#last.then(async () => {
      const leftMs = dueMs - performance.now();
      if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, leftMs));
      if (!this.#to.destroyed) deliver();
    });
  }
}

interface Link {
  readonly near: net.Socket;
  readonly far: net.Socket;
  readonly requests: Direction;
  readonly answers: Direction;
}

export class TcpProxy {
  readonly #listener: net.Server;
  readonly #target: () => ProxyTarget;
  readonly #links = new Set<Link>();
  #mode: ProxyMode = 'pass';
  #delayMs = 0;
  #watch: ((request: Buffer) => 'pass' | 'cut' | 'deaf') | null = null;

  private constructor(listener: net.Server, target: () => ProxyTarget) {
    this.#listener = listener;
    this.#target = target;
    listener.on('connection', (near) => this.#connect(near));
  }

  /** Listens on a free port of the loopback; `target` is asked for every connection anew. */
  static async start(target: () => ProxyTarget): Promise<TcpProxy> {
    const listener = net.createServer();
    const proxy = new TcpProxy(listener, target);
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    const address = this.#listener.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
    return address.port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** How it behaves from now on. What swallowed something before is cut when it passes again. */
  set(mode: ProxyMode, delayMs = 0): void {
    this.#mode = mode;
    this.#delayMs = mode === 'slow' ? delayMs : 0;
    if (mode === 'pass')
      for (const link of this.#links) if (link.requests.lossy || link.answers.lossy) cut(link);
  }

  /** Resets every connection, in the middle of whatever it carries. */
  cut(): void {
    for (const link of this.#links) cut(link);
  }

  /**
   * Looks at every piece that is sent to the target, until one is met: `cut` resets the connection before the piece is
   * passed on, `deaf` passes it on and resets the connection instead of passing on the answer.
   */
  meet(watch: (request: Buffer) => 'pass' | 'cut' | 'deaf'): void {
    this.#watch = watch;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#listener.close(() => resolve()));
    this.cut();
    await closed;
  }

  #connect(near: net.Socket): void {
    near.on('error', () => undefined);
    if (this.#mode === 'refuse') {
      near.resetAndDestroy();
      return;
    }
    const far = net.connect(this.#target());
    const link: Link = { near, far, requests: new Direction(far), answers: new Direction(near) };
    this.#links.add(link);
    let cutAtAnswer = false;
    near.on('data', (data) => {
      const met = this.#watch?.(data) ?? 'pass';
      if (met !== 'pass') this.#watch = null;
      cutAtAnswer ||= met === 'deaf';
      if (met === 'cut') cut(link);
      else this.#carry(link.requests, data, this.#mode === 'blackhole');
    });
    far.on('data', (data) => {
      if (cutAtAnswer) cut(link);
      else this.#carry(link.answers, data, this.#mode === 'blackhole' || this.#mode === 'deaf');
    });
    for (const [one, other, way] of [
      [near, far, link.requests] as const,
      [far, near, link.answers] as const,
    ]) {
      one.setNoDelay(true);
      one.on('error', () => other.resetAndDestroy());
      one.on('end', () => way.end(this.#delayMs));
      one.on('close', () => {
        this.#links.delete(link);
        way.end(this.#delayMs);
      });
    }
  }

  #carry(way: Direction, data: Buffer, swallow: boolean): void {
    way.lossy ||= swallow;
    if (!way.lossy) way.write(data, this.#delayMs);
  }
}

function cut({ near, far }: Link): void {
  near.resetAndDestroy();
  far.resetAndDestroy();
}

/** Ports of the loopback that are free now. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = net.createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
