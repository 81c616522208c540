/** What is done to whom, and when: drawn from the seed alone, before anything runs. */
import { Draw } from '../sim/draw.js';

export const coordinatorCount = 2;
export const workerCount = 8;

/** How a process is hurt. `pause`: SIGSTOP, and SIGCONT after `durationMs`. */
export type ProcessHarm = 'kill' | 'pause' | 'terminate';
/**
 * How a connection is hurt; see `TcpProxy`. All but cuts last for `durationMs`. `lose-commit` cuts in front of the next
 * commit, `lose-answer` behind it: chance alone would hardly ever meet one.
 */
export type LinkHarm = 'cut' | 'slow' | 'deaf' | 'blackhole' | 'refuse' | 'lose-commit' | 'lose-answer';

export type Fault = {
  /** After the start, ms. */
  readonly atMs: number;
  readonly durationMs: number;
} & (
  | {
      readonly kind: 'worker' | 'trainer' | 'coordinator';
      readonly harm: ProcessHarm;
      readonly index: number;
    }
  /** A process of PostgreSQL: one that serves a client, or one in the background (a slow disk, seen from outside). */
  | { readonly kind: 'backend' | 'background'; readonly harm: ProcessHarm; readonly index: number }
  /** kill -9 of the postmaster, or of all its processes; started again after `durationMs`. */
  | { readonly kind: 'postgres'; readonly whom: 'postmaster' | 'all' }
  /** Worker to coordinators, or coordinator to PostgreSQL. */
  | {
      readonly kind: 'worker-link' | 'database-link';
      readonly harm: LinkHarm;
      readonly index: number;
      readonly delayMs: number;
    }
  /** Pauses the newest study for a while. */
  | { readonly kind: 'pause-study' }
);

type Kind = Fault['kind'];

/** How often each kind comes, in proportion. New processes cost a second of a core each, so links are hurt more often. */
const weights: Readonly<Record<Kind, number>> = {
  worker: 18,
  trainer: 14,
  coordinator: 7,
  backend: 5,
  background: 3,
  postgres: 2,
  'worker-link': 32,
  'database-link': 12,
  'pause-study': 3,
};

/** From one fault to the next, ms, on average. */
const gapMs = 450;

export function drawPlan(seed: number, seconds: number): readonly Fault[] {
  const draw = new Draw(seed);
  const faults: Fault[] = [];
  // The processes need a moment to come up.
  for (let atMs = 2_000; atMs < seconds * 1_000; atMs += draw.skewed(gapMs / 4, gapMs * 3))
    faults.push(drawFault(draw, atMs));
  return faults;
}

function drawFault(draw: Draw, atMs: number): Fault {
  const kind = drawKind(draw);
  // Mostly shorter than a lease, now and then much longer.
  const durationMs = draw.skewed(100, 8_000);
  const common = { atMs, durationMs };
  switch (kind) {
    case 'worker':
      return {
        ...common,
        // Also far beyond its leases: then it tells results that were taken from it.
        durationMs: draw.skewed(200, 12_000),
        kind,
        harm: draw.pick(['kill', 'pause', 'pause', 'terminate']),
        index: draw.whole(0, workerCount - 1),
      };
    case 'trainer':
      return {
        ...common,
        kind,
        harm: draw.pick(['kill', 'pause', 'terminate']),
        index: draw.whole(0, workerCount - 1),
      };
    case 'coordinator':
      return {
        ...common,
        kind,
        harm: draw.pick(['kill', 'kill', 'pause', 'terminate']),
        index: draw.whole(0, coordinatorCount - 1),
      };
    case 'backend':
      return { ...common, kind, harm: draw.pick(['kill', 'terminate', 'pause']), index: draw.whole(0, 999) };
    case 'background':
      return { ...common, kind, harm: 'pause', index: draw.whole(0, 999) };
    case 'postgres':
      return { ...common, durationMs: draw.skewed(100, 3_000), kind, whom: draw.pick(['postmaster', 'all']) };
    case 'worker-link':
    case 'database-link':
      return {
        ...common,
        kind,
        harm:
          kind === 'database-link' && draw.chance(0.5)
            ? draw.pick(['lose-commit', 'lose-answer'])
            : draw.pick(['cut', 'cut', 'slow', 'deaf', 'blackhole', 'refuse']),
        index: draw.whole(0, (kind === 'worker-link' ? workerCount : coordinatorCount) - 1),
        delayMs: draw.skewed(5, 500),
      };
    case 'pause-study':
      return { ...common, kind };
  }
}

function drawKind(draw: Draw): Kind {
  const entries = Object.entries(weights) as [Kind, number][];
  let left = draw.unit() * entries.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [kind, weight] of entries) if ((left -= weight) < 0) return kind;
  return 'worker';
}
