/** What happens to the machines: who crashes, freezes, restarts, is cut off or joins, and what people do meanwhile. */
import type { StudyRecord } from '../../coordinator/storage/port.js';
import type { SimCoordinator } from './sim-coordinator.js';
import { SimPeople } from './sim-people.js';
import { drawParams, stoppable } from './sim-studies.js';
import { SimWorker } from './sim-worker.js';
import { happenings, type Happening } from './weather.js';
import type { World } from './world.js';

const workersMin = 2;
const workersMax = 6;

export class Story {
  readonly #world: World;
  readonly #coordinators: readonly SimCoordinator[];
  readonly #people: SimPeople;
  readonly #setBudget: (study: string, trials: number) => void;
  readonly #workers: SimWorker[] = [];
  readonly #raised = new Set<string>();
  /** Partitions and frozen processes to be set right when the faults end. */
  readonly #undo = new Set<() => void>();
  #workersEver = 0;
  #healed = false;

  constructor(
    world: World,
    coordinators: readonly SimCoordinator[],
    setBudget: (study: string, trials: number) => void,
  ) {
    this.#world = world;
    this.#coordinators = coordinators;
    this.#setBudget = setBudget;
    this.#people = new SimPeople(world);
  }

  begin(): void {
    const { draw, scheduler } = this.#world;
    for (const coordinator of this.#coordinators) coordinator.start();
    for (let each = draw.whole(workersMin, 4); each > 0; each -= 1)
      scheduler.after(draw.whole(0, 5_000), () => this.#addWorker());
    this.#next();
  }

  /** All studies there are to be exist and have ended. */
  over(): boolean {
    const { monitor, studies } = this.#world;
    const records = monitor.studies();
    return records.length === studies.length && records.every((record) => this.#isOver(record));
  }

  #isOver({ id, state, nextNumber, finishSequence }: StudyRecord): boolean {
    if (state === 'STOPPED') return finishSequence === nextNumber;
    return state === 'FINISHED' && this.#world.monitor.trials(id).length === nextNumber;
  }

  describe(): string {
    const { monitor } = this.#world;
    return monitor
      .studies()
      .map((record) => {
        const open = monitor.trials(record.id).filter(({ finishSequence }) => finishSequence === null);
        const trials = open.map(({ number, state, reason, memoryFloorBytes }) =>
          [number, state, reason ?? '', memoryFloorBytes ?? ''].join(' ').trim(),
        );
        return `${record.definition.name} ${record.state}, ${record.finishSequence} of ${record.trialsMax}, open: ${trials.join('; ')}`;
      })
      .join(' | ');
  }

  /** The faults are over: everything runs again, and nobody keeps a study paused. */
  heal(): void {
    const { database, network, trace } = this.#world;
    trace.add('story', 'faults end');
    this.#healed = true;
    database.setUp(true);
    database.setSlow(false);
    network.healPartitions();
    for (const undo of this.#undo) undo();
    for (const coordinator of this.#coordinators) {
      coordinator.start();
      const { running } = coordinator;
      if (running !== null) running.process.skewMs = 0;
    }
    // Some that work for any study, so that each of them comes to its end.
    for (let free = this.#alive().filter(({ study }) => study === null).length; free < workersMin; free += 1)
      this.#addWorker(null);
    this.#keepResuming();
  }

  #keepResuming(): void {
    const { monitor, scheduler } = this.#world;
    for (const { state, definition } of monitor.studies())
      if (state === 'PAUSED') this.#people.resume(definition.name);
    scheduler.after(30_000, () => this.#keepResuming());
  }

  #next(): void {
    const { draw, scheduler, weather } = this.#world;
    const { happeningEveryMs, happening } = weather();
    if (!Number.isFinite(happeningEveryMs)) return;
    scheduler.after(-Math.log(1 - draw.unit()) * happeningEveryMs, () => {
      if (this.#healed) return;
      let point = draw.unit() * happenings.reduce((sum, each) => sum + happening[each], 0);
      const chosen = happenings.find((each) => (point -= happening[each]) < 0);
      if (chosen !== undefined) this.#happen(chosen);
      this.#next();
    });
  }

  #happen(what: Happening): void {
    const { draw, database } = this.#world;
    switch (what) {
      case 'coordinator-crash':
      case 'coordinator-freeze':
      case 'coordinator-restart':
      case 'clock-step': {
        this.#toCoordinator(what);
        return;
      }
      case 'worker-crash':
      case 'worker-freeze':
      case 'worker-drain': {
        this.#toWorker(what);
        return;
      }
      case 'worker-added':
        if (this.#alive().length < workersMax) this.#addWorker();
        return;
      case 'partition': {
        this.#partition();
        return;
      }
      case 'database-down':
        this.#say('database goes away');
        database.setUp(false);
        {
          this.#later(draw.skewed(200, 60_000), () => database.setUp(true));
          return;
        }
      case 'database-slow':
        database.setSlow(true);
        {
          this.#later(draw.skewed(1_000, 60_000), () => database.setSlow(false));
          return;
        }
      case 'enqueue':
      case 'pause':
      case 'stop':
      case 'raise-budget':
      case 'view': {
        this.#byPeople(what);
        return;
      }
    }
  }

  #toCoordinator(
    what: 'coordinator-crash' | 'coordinator-freeze' | 'coordinator-restart' | 'clock-step',
  ): void {
    const { draw, scheduler, weather } = this.#world;
    const coordinator = draw.pick(this.#coordinators);
    const running = coordinator?.running ?? null;
    if (coordinator === undefined || running === null) return;
    const { process } = running;
    this.#say(`${what} ${process.name}`);
    switch (what) {
      case 'coordinator-crash':
      case 'coordinator-restart':
        if (what === 'coordinator-crash') coordinator.crash();
        else coordinator.stop();
        scheduler.after(draw.skewed(200, 60_000), () => coordinator.start());
        return;
      case 'coordinator-freeze':
        process.freeze();
        {
          this.#later(this.#silenceMs(), () => process.thaw());
          return;
        }
      case 'clock-step':
        process.skewMs = draw.whole(-weather().skewMaxMs, weather().skewMaxMs);
        return;
    }
  }

  #toWorker(what: 'worker-crash' | 'worker-freeze' | 'worker-drain'): void {
    const { draw, scheduler } = this.#world;
    const worker = draw.pick(this.#alive());
    if (worker === undefined) return;
    this.#say(`${what} ${worker.host}`);
    if (what === 'worker-freeze') {
      worker.freeze();
      this.#later(this.#silenceMs(), () => worker.process.thaw());
      return;
    }
    if (what === 'worker-crash') worker.crash();
    else worker.drain();
    if (draw.chance(0.8)) scheduler.after(draw.skewed(200, 60_000), () => this.#addWorker());
  }

  /** The one study that a worker works for; null for any. */
  #drawStudy(): string | null {
    const { draw, studies } = this.#world;
    return draw.chance(0.2) ? (draw.pick(studies)?.definition.name ?? null) : null;
  }

  #partition(): void {
    const { draw, network } = this.#world;
    const worker = draw.pick(this.#alive());
    if (worker === undefined) return;
    const cut = this.#coordinators.filter(() => draw.chance(0.8));
    this.#world.harmed(worker.host);
    this.#say(`partition of ${worker.host} from ${cut.map(({ name }) => name).join(' ')}`);
    for (const { name } of cut) network.setPartition(worker.host, name, true);
    this.#later(this.#silenceMs(), () => {
      for (const { name } of cut) network.setPartition(worker.host, name, false);
    });
  }

  #byPeople(what: 'enqueue' | 'pause' | 'stop' | 'raise-budget' | 'view'): void {
    const { draw, studies } = this.#world;
    const people = this.#people;
    const study = draw.pick(studies);
    if (study === undefined) return;
    const { name } = study.definition;
    switch (what) {
      case 'enqueue': {
        people.enqueue(name, drawParams(draw));
        return;
      }
      case 'pause':
        people.pause(name);
        {
          this.#later(draw.skewed(500, 120_000), () => people.resume(name));
          return;
        }
      case 'stop':
        if (name !== stoppable) return;
        people.stop(name);
        if (draw.chance(0.3)) this.#later(draw.skewed(500, 60_000), () => people.resume(name));
        return;
      case 'raise-budget': {
        if (this.#raised.has(name)) return;
        this.#raised.add(name);
        const trials = study.trials() + draw.whole(1, 6);
        this.#setBudget(name, trials);
        people.raiseBudget(name, trials);
        return;
      }
      case 'view': {
        people.view(name);
        return;
      }
    }
  }

  /** Shorter than a lease as often as longer, ms. */
  #silenceMs(): number {
    const { draw } = this.#world;
    return draw.chance(0.5) ? draw.skewed(500, 45_000) : draw.whole(40_000, 150_000);
  }

  #alive(): readonly SimWorker[] {
    return this.#workers.filter(({ running }) => running);
  }

  #addWorker(study = this.#drawStudy()): void {
    this.#workers.push(new SimWorker(this.#world, `w${(this.#workersEver += 1)}`, study));
  }

  /** Undoes something after a while, or when the faults end. */
  #later(ms: number, undo: () => void): void {
    const once = (): void => {
      if (this.#undo.delete(once)) undo();
    };
    this.#undo.add(once);
    this.#world.scheduler.after(ms, once);
  }

  #say(what: string): void {
    this.#world.trace.add('story', what);
  }
}
