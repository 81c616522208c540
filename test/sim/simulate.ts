/**
 * One simulated run: coordinators, workers, people, network and database on a virtual clock. Faults rage for some
 * minutes, then they stop, and every study must come to its end. All invariants are checked all the way.
 */
import { verifyStudy } from '../../coordinator/app/verify-study.js';
import type { AskRequest } from '../../shared/wire/gen/parzen/v1/trial.js';
import { ManualClock, testApp } from '../helpers/app.js';
import { Draw } from './draw.js';
import { HeldWatch } from './held-watch.js';
import { Monitor } from './monitor.js';
import { mutantOf, type Mutant, type MutantName } from './mutants.js';
import { Promises, type PromiseCounts } from './promises.js';
import { Scheduler } from './scheduler.js';
import { SimCoordinator } from './sim-coordinator.js';
import { SimDatabase } from './sim-database.js';
import { SimNetwork } from './sim-network.js';
import { epochMs } from './sim-process.js';
import { drawStudies } from './sim-studies.js';
import { Story } from './story.js';
import { Trace } from './trace.js';
import { calm, drawWeather, isGentle, type Weather } from './weather.js';
import type { World } from './world.js';

/** After the last fault every study ends within this, ms: leases expire, lost trials run again, hopeless ones are given up. */
const endMaxMs = 45 * 60_000;
/** What is still on its way when all studies are over must do no harm, ms. */
const afterglowMs = 70_000;
/** What faults have left under way is over within this after the last one, ms: time limits of calls and transactions. */
const settledMs = 60_000;
/** A run that does more than this is stuck in a circle. */
const stepsMax = 2_000_000;

export interface SimulateOptions {
  /** 0 ≤ seed < 2³². */
  readonly seed: number;
  readonly mutant?: MutantName | undefined;
  /** Instead of the weather that the seed draws. */
  readonly weather?: Weather;
  /** Told of every line of the trace. */
  readonly print?: (line: string) => void;
}

export interface Simulated {
  readonly seed: number;
  /** The broken invariant; null when all held. */
  readonly violation: string | null;
  /** The same for the same seed. */
  readonly digest: string;
  /** The latest lines of the trace. */
  readonly tail: readonly string[];
  readonly virtualMs: number;
  readonly steps: number;
  readonly finished: number;
  readonly counts: PromiseCounts;
  /** Attempts that were taken away because their lease ran out. */
  readonly lost: number;
}

/** Runs one seed. Resolves whether the invariants held or not; rejects for bugs of the simulation itself. */
export async function simulate({ seed, mutant, weather: given, print }: SimulateOptions): Promise<Simulated> {
  const draw = new Draw(seed);
  const scheduler = new Scheduler();
  const trace = new Trace(scheduler, print ?? null);
  const drawn = drawWeather(draw);
  const broken: Mutant = mutant === undefined ? {} : mutantOf(mutant);
  let weather = given ?? broken.weather ?? drawn;
  const database: SimDatabase = new SimDatabase({
    ...{ scheduler, draw, trace, weather: () => weather },
    committed: () => monitor.look(),
  });
  const gentle = isGentle(weather);
  const harmed = new Set<string>();
  const monitor = new Monitor(database.committed, {
    nowMs: () => epochMs + scheduler.nowMs,
    mayLose: (worker) => !gentle || harmed.has(worker),
  });
  const promises = new Promises(database.committed, monitor);
  const hosts: SimCoordinator[] = [];
  const network = new SimNetwork({
    ...{ scheduler, draw, trace, hosts, weather: () => weather },
    answered: (call, request, response) => promises.answered(call, request, response),
    reached: (call, request) => (call === 'Ask' ? heldWatch.asked(request as AskRequest) : () => undefined),
  });
  const pollIntervalMs = draw.skewed(1_000, 5_000);
  const heldWatch = new HeldWatch(monitor, pollIntervalMs);
  const budgets = new Map<string, number>();
  let minted = 0;
  const world: World = {
    ...{ scheduler, draw, trace, monitor, promises, heldWatch, database, network, weather: () => weather },
    settings: {
      pollIntervalMs,
      failureShare: draw.chance(0.3) ? 0 : draw.unit() * 0.4,
      trialMaxMs: draw.skewed(1_000, 120_000),
      aheadRoundTrips: draw.pick([0, 10, 10_000]),
    },
    studies: drawStudies(draw).map((definition) => ({
      definition,
      trials: () => budgets.get(definition.name) ?? definition.trials,
    })),
    mintId: (prefix) => `${prefix}${(minted += 1)}`,
    harmed: (worker) => harmed.add(worker),
    mutant: broken,
  };
  for (let each = 1; each <= draw.whole(2, 3); each += 1) hosts.push(new SimCoordinator(world, `c${each}`));
  const story = new Story(world, hosts, (name, trials) => budgets.set(name, trials));
  story.begin();

  const faultsEndMs = draw.skewed(30_000, 600_000);
  let overSinceMs: number | null = null;
  let healed = false;
  while (monitor.violation === null) {
    if (!(await scheduler.step())) monitor.violate('nothing happens any more');
    const { nowMs } = scheduler;
    if (gentle || nowMs > faultsEndMs + settledMs) heldWatch.look(nowMs);
    overSinceMs = story.over() ? (overSinceMs ?? nowMs) : null;
    if (overSinceMs !== null && nowMs - overSinceMs > afterglowMs) break;
    if (!healed && nowMs >= faultsEndMs) {
      healed = true;
      weather = calm;
      story.heal();
    }
    if (nowMs > faultsEndMs + endMaxMs || scheduler.steps > stepsMax)
      monitor.violate(`not over in time: ${story.describe()}`);
  }
  if (scheduler.nowMs > faultsEndMs + afterglowMs) promises.checkAllTold();
  if (monitor.violation === null) await conclude(world);
  let lost = 0;
  for (const { id } of monitor.studies()) lost += (await database.committed.countAttempts(id)).lost ?? 0;
  return {
    lost,
    ...{ seed, violation: monitor.violation, tail: trace.tail(), virtualMs: scheduler.nowMs },
    ...{ steps: scheduler.steps, counts: promises.counts, digest: trace.digest() },
    finished: monitor.studies().reduce((sum, { finishSequence }) => sum + finishSequence, 0),
  };
}

/** What holds at the end: exact budgets, nothing acknowledged missing, every suggestion recomputable. */
async function conclude({ monitor, database, promises }: World): Promise<void> {
  const store = database.committed;
  for (const study of monitor.studies()) {
    const { name } = study.definition;
    const { nextNumber, trialsMax, finishSequence, state } = study;
    const exact = monitor.wasLowered(study.id) ? nextNumber >= trialsMax : nextNumber === trialsMax;
    monitor.expect(
      finishSequence === nextNumber && (exact || state === 'STOPPED'),
      () => `${name}: ${state} with ${finishSequence} finished of ${nextNumber}, budget ${trialsMax}`,
    );
    const { context } = testApp(store);
    const { difference } = await verifyStudy({ ...context, clock: new ManualClock() }, name);
    monitor.expect(difference === null, () => `${name}: verify found ${JSON.stringify(difference)}`);
  }
  await promises.checkAll();
}
