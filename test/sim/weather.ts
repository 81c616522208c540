import type { Draw } from './draw.js';

/** Happenings besides single messages, each with its share of all happenings. */
export const happenings = [
  'coordinator-crash',
  'coordinator-freeze',
  'coordinator-restart',
  'worker-crash',
  'worker-freeze',
  'worker-drain',
  'worker-added',
  'partition',
  'database-down',
  'database-slow',
  'clock-step',
  'enqueue',
  'pause',
  'stop',
  'raise-budget',
  'view',
] as const;
export type Happening = (typeof happenings)[number];

/** Share of runs in which a lost lease needs an excuse. */
const gentleShare = 0.25;

/** How bad things are while faults last. Probabilities are per message, statement or transaction. */
export interface Weather {
  /** A message, a request or an answer, never arrives. */
  readonly loss: number;
  /** A request arrives a second time, later. */
  readonly duplicate: number;
  /** A message takes seconds, so that later ones overtake it. */
  readonly late: number;
  /** The database does it, and the answer is lost. */
  readonly replyLost: number;
  /** A transaction is rolled back and has to run again. */
  readonly conflict: number;
  /** The database refuses a statement. */
  readonly refused: number;
  /** Largest difference of a machine's clock from true time, ms. */
  readonly skewMaxMs: number;
  /** Mean time between happenings, ms; Infinity for none. */
  readonly happeningEveryMs: number;
  readonly happening: Readonly<Record<Happening, number>>;
}

export const calm: Weather = {
  ...{ loss: 0, duplicate: 0, late: 0, replyLost: 0, conflict: 0, refused: 0 },
  skewMaxMs: 0,
  happeningEveryMs: Infinity,
  happening: noHappenings(),
};

function noHappenings(): Record<Happening, number> {
  const entries = happenings.map((each): [Happening, number] => [each, 0]);
  return Object.fromEntries(entries) as Record<Happening, number>;
}

/** Happenings that cost nobody a lease but the worker that they strike. */
const harmless: readonly Happening[] = [
  ...(['worker-crash', 'worker-freeze', 'worker-drain', 'worker-added'] as const),
  ...(['enqueue', 'pause', 'stop', 'raise-budget', 'view'] as const),
];

/** Nothing is lost, late or refused, and clocks agree: a lease is lost only when its own worker is struck. */
export const isGentle = (weather: Weather): boolean =>
  ['loss', 'duplicate', 'late', 'replyLost', 'refused', 'skewMaxMs'].every(
    (fault) => weather[fault as 'loss'] === 0,
  ) && happenings.every((each) => weather.happening[each] === 0 || harmless.includes(each));

function drawGentle(draw: Draw): Weather {
  const happening = noHappenings();
  for (const each of harmless) if (draw.chance(0.6)) happening[each] = draw.unit();
  return { ...calm, happening, happeningEveryMs: draw.skewed(1_500, 20_000) };
}

/** Every seed has weather of its own: some faults are absent, others frequent, so that rare mixtures come up. */
export function drawWeather(draw: Draw): Weather {
  if (draw.chance(gentleShare)) return drawGentle(draw);
  const level = (worst: number): number => (draw.chance(0.4) ? 0 : worst * draw.unit() ** 2);
  const happening = noHappenings();
  for (const each of happenings) if (draw.chance(0.6)) happening[each] = draw.unit();
  return {
    loss: level(0.25),
    duplicate: level(0.3),
    late: level(0.3),
    replyLost: level(0.1),
    conflict: level(0.2),
    refused: level(0.05),
    skewMaxMs: draw.chance(0.3) ? 0 : draw.skewed(10, 40_000),
    happeningEveryMs: draw.skewed(1_500, 20_000),
    happening,
  };
}
