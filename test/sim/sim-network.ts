/**
 * The network: unary calls as encoded messages between processes. A call can lose its request or its answer, see its
 * request delivered twice, be overtaken, be cut by a partition or by the death of its server; the caller learns of it
 * at once, or not before its deadline.
 */
import { status, type handleUnaryCall, type ServerUnaryCall } from '@grpc/grpc-js';
import { EventEmitter } from 'node:events';
import { RpcError, type UnaryOptions } from '../../shared/wire/call.js';
import type { StudyServiceServer } from '../../shared/wire/gen/parzen/v1/study.js';
import type { TrialServiceServer } from '../../shared/wire/gen/parzen/v1/trial.js';
import type { Draw } from './draw.js';
import type { Scheduler } from './scheduler.js';
import type { SimProcess } from './sim-process.js';
import type { Trace } from './trace.js';
import type { Weather } from './weather.js';

/** One method of a service as the generated code describes it. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (value: Request) => Buffer;
  readonly requestDeserialize: (value: Buffer) => Request;
  readonly responseSerialize: (value: Response) => Buffer;
  readonly responseDeserialize: (value: Buffer) => Response;
}

/** A machine that serves calls; `running` is null while its process is down. */
export interface Host {
  readonly name: string;
  readonly running: Running | null;
}

export interface Running {
  readonly process: SimProcess;
  readonly trials: TrialServiceServer;
  readonly studies: StudyServiceServer;
}

export interface Caller {
  /** The machine, the same after a restart. */
  readonly host: string;
  readonly process: SimProcess;
}

export interface CallPlan<Request, Response> {
  readonly method: Method<Request, Response>;
  readonly handler: (server: Running) => handleUnaryCall<Request, Response>;
  readonly request: Request;
}

export interface SimNetworkOptions {
  readonly scheduler: Scheduler;
  readonly draw: Draw;
  readonly trace: Trace;
  readonly weather: () => Weather;
  readonly hosts: readonly Host[];
  /** Told of every answer that leaves a server: from then on it counts as given. */
  readonly answered: (path: string, request: unknown, response: unknown) => void;
  /** Told of every request that reaches a server; what it returns is called when that one needs no answer any more. */
  readonly reached: (path: string, request: unknown) => () => void;
}

export class SimNetwork {
  readonly #options: SimNetworkOptions;
  readonly #partitions = new Set<string>();
  /** When the latest request between two machines arrives: while nothing is wrong, requests keep their order. */
  readonly #arrivals = new Map<string, number>();
  /** The server that a caller talked to last. */
  readonly #chosen = new Map<string, Host>();

  constructor(options: SimNetworkOptions) {
    this.#options = options;
  }

  /** Lets nothing through between two machines, or everything again. */
  setPartition(caller: string, host: string, cut: boolean): void {
    if (cut) this.#partitions.add(`${caller} ${host}`);
    else this.#partitions.delete(`${caller} ${host}`);
  }

  healPartitions(): void {
    this.#partitions.clear();
  }

  /** One try of a call at some server. Rejects with `RpcError`. */
  unary<Request, Response>(
    caller: Caller,
    { method, handler, request }: CallPlan<Request, Response>,
    { deadlineMs, signal }: UnaryOptions,
  ): Promise<Response> {
    const { draw, weather } = this.#options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(new RpcError(status.CANCELLED, 'aborted before the call'));
        return;
      }
      const cancels = new Set<() => void>();
      let settled = false;
      const settle = (finish: () => void): void => {
        if (settled) return;
        settled = true;
        cancelDeadline();
        signal?.removeEventListener('abort', abort);
        finish();
      };
      const giveUp = (code: status, details: string): void =>
        settle(() => {
          for (const cancel of cancels) if (!draw.chance(weather().loss)) cancel();
          reject(new RpcError(code, details));
        });
      const abort = (): void => giveUp(status.CANCELLED, 'cancelled');
      const cancelDeadline = caller.process.after(deadlineMs, () =>
        giveUp(status.DEADLINE_EXCEEDED, 'deadline exceeded'),
      );
      signal?.addEventListener('abort', abort, { once: true });
      const call = {
        ...{ caller, method, handler, deadlineMs, cancels },
        bytes: method.requestSerialize(request),
        resolve: (value: Response) => caller.process.deliver(() => settle(() => resolve(value))),
        fail: (code: status, details: string) =>
          this.#travel(() => caller.process.deliver(() => settle(() => reject(new RpcError(code, details))))),
      };
      this.#send(call);
      if (draw.chance(weather().duplicate)) this.#send({ ...call, late: true });
    });
  }

  #send<Request, Response>(call: Call<Request, Response>): void {
    const host = this.#route(call.caller.host);
    const server = host.running;
    if (server === null || this.#lost(call.caller.host, host)) {
      this.#cut(call, 'the coordinator cannot be reached');
      return;
    }
    let serving: EventEmitter | null = null;
    this.#inOrder(call, host, () => {
      if (!server.process.alive) this.#cut(call, 'connection refused');
      else server.process.deliver(() => (serving = this.#serve(call, host, server)));
    });
    call.cancels.add(() =>
      this.#inOrder(call, host, () => server.process.deliver(() => serving?.emit('cancelled'))),
    );
  }

  /** A request, or the news that nobody waits for it any more. */
  #inOrder(call: { caller: Caller; late?: boolean }, host: Host, arrive: () => void): void {
    const { scheduler, draw, weather } = this.#options;
    const path = `${call.caller.host} ${host.name}`;
    let atMs = scheduler.nowMs + this.#latencyMs();
    if (call.late === true) atMs += draw.skewed(1, 60_000);
    else {
      if (weather().late === 0) atMs = Math.max(atMs, this.#arrivals.get(path) ?? 0);
      this.#arrivals.set(path, atMs);
    }
    scheduler.after(atMs - scheduler.nowMs, arrive);
  }

  #serve<Request, Response>(call: Call<Request, Response>, host: Host, server: Running): EventEmitter {
    const { trace, answered, reached } = this.#options;
    const { method, caller } = call;
    const request = method.requestDeserialize(call.bytes);
    const emitter = new EventEmitter();
    const fake = Object.assign(emitter, { request, getPath: () => method.path });
    const name = method.path.slice(method.path.lastIndexOf('/') + 1);
    const ended = reached(name, request);
    emitter.once('cancelled', ended);
    const forget = server.process.onCrash(() => {
      ended();
      this.#cut(call, 'connection reset');
    });
    const expire = server.process.after(call.deadlineMs, () => emitter.emit('cancelled'));
    call.handler(server)(fake as unknown as ServerUnaryCall<Request, Response>, (error, value) => {
      forget();
      ended();
      expire();
      if (error !== null) call.fail(error.code ?? status.UNKNOWN, error.details ?? '');
      else if (value !== null && value !== undefined) {
        const bytes = method.responseSerialize(value);
        const response = method.responseDeserialize(bytes);
        trace.add(server.process.name, `${name} of ${caller.process.name}: ${JSON.stringify(response)}`);
        answered(name, request, response);
        if (this.#lost(caller.host, host)) this.#cut(call, 'connection reset');
        else this.#travel(() => call.resolve(response));
      }
    });
    return emitter;
  }

  /** The message is gone; the caller learns of it soon, or at its deadline. */
  #cut<Request, Response>(call: Call<Request, Response>, details: string): void {
    if (this.#options.draw.chance(0.6)) call.fail(status.UNAVAILABLE, details);
  }

  #route(caller: string): Host {
    const { draw, hosts, weather } = this.#options;
    const known = this.#chosen.get(caller);
    const leave = known?.running === null ? 0.8 : weather().loss > 0 ? 0.1 : 0;
    const stay = known !== undefined && !draw.chance(leave);
    const host = stay ? known : draw.pick(hosts);
    if (host === undefined) throw new Error('a network without servers');
    this.#chosen.set(caller, host);
    return host;
  }

  #lost(caller: string, host: Host): boolean {
    const { draw, weather } = this.#options;
    return this.#partitions.has(`${caller} ${host.name}`) || draw.chance(weather().loss);
  }

  #latencyMs(): number {
    const { draw, weather } = this.#options;
    return draw.chance(weather().late) ? draw.skewed(100, 20_000) : draw.skewed(1, 20);
  }

  #travel(arrive: () => void): void {
    this.#options.scheduler.after(this.#latencyMs(), arrive);
  }
}

interface Call<Request, Response> {
  readonly caller: Caller;
  readonly method: Method<Request, Response>;
  readonly handler: (server: Running) => handleUnaryCall<Request, Response>;
  readonly bytes: Buffer;
  readonly deadlineMs: number;
  /** What tells each server that was sent the request that nobody waits any more. */
  readonly cancels: Set<() => void>;
  readonly late?: boolean;
  readonly resolve: (value: Response) => void;
  readonly fail: (code: status, details: string) => void;
}
