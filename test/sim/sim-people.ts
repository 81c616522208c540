/** People and their tools: they enqueue, pause, resume, stop and look, and try again when there is no answer. */
import type { Params } from '../../shared/core/space/parameter.js';
import { RpcError, retrying } from '../../shared/wire/call.js';
import { paramsToWire } from '../../shared/wire/convert.js';
import { StudyServiceService as methods } from '../../shared/wire/gen/parzen/v1/study.js';
import type { CallPlan } from './sim-network.js';
import { SimProcess } from './sim-process.js';
import type { World } from './world.js';

const deadlineMs = 10_000;

export class SimPeople {
  readonly #world: World;
  readonly #process: SimProcess;

  constructor(world: World) {
    this.#world = world;
    this.#process = new SimProcess(world.scheduler, 'people');
  }

  enqueue(study: string, params: Params): void {
    const request = { study, requestId: this.#world.mintId('e'), params: paramsToWire(params) };
    this.#call({ method: methods.enqueueTrial, handler: ({ studies }) => studies.enqueueTrial, request });
  }

  pause(name: string): void {
    this.#call({
      method: methods.pauseStudy,
      handler: ({ studies }) => studies.pauseStudy,
      request: { name },
    });
  }

  resume(name: string): void {
    this.#call({
      method: methods.resumeStudy,
      handler: ({ studies }) => studies.resumeStudy,
      request: { name },
    });
  }

  stop(name: string): void {
    this.#call({ method: methods.stopStudy, handler: ({ studies }) => studies.stopStudy, request: { name } });
  }

  view(name: string): void {
    this.#call({ method: methods.getStudy, handler: ({ studies }) => studies.getStudy, request: { name } });
  }

  raiseBudget(name: string, trials: number): void {
    this.#call({
      method: methods.createStudy,
      handler: ({ studies }) => studies.createStudy,
      request: { definitionText: name, trials, dataset: '' },
    });
  }

  /** Tries until there is an answer or a refusal; some people lose their patience before. */
  #call<Request, Response>(plan: CallPlan<Request, Response>): void {
    const { network, draw, trace, monitor } = this.#world;
    const process = this.#process;
    const name = plan.method.path.slice(plan.method.path.lastIndexOf('/') + 1);
    trace.add('people', `${name} ${JSON.stringify(plan.request)}`);
    retrying(() => network.unary({ host: 'people', process }, plan, { deadlineMs }), {
      sleep: (ms) => process.clock.sleep(ms),
      random: () => draw.unit(),
      signal: new AbortController().signal,
      attemptsMax: draw.chance(0.5) ? 1_000 : draw.whole(1, 4),
    }).catch((error: unknown) => {
      if (!(error instanceof RpcError)) monitor.violate(`${name} failed: ${String(error)}`);
      else trace.add('people', `${name}: ${error.message}`);
    });
  }
}
