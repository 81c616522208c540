/** Commands on what trials forecast: compared candle by candle, and as a table. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { createHash } from 'node:crypto';
import { toJson } from '../../shared/core/json.js';
import {
  decodeForecasts,
  ForecastCodecError,
  type Forecasts,
} from '../../shared/core/market/forecast-codec.js';
import type { PairedDifference } from '../../shared/core/metrics/paired.js';
import { pairedFigures } from '../../shared/core/metrics/paired.js';
import { topTrials } from '../../shared/core/study/ranking.js';
import type { StudyView } from '../../shared/core/study/study.js';
import { hasOwnValue, type Trial } from '../../shared/core/study/trial.js';
import { parseEvaluation } from '../../shared/core/trainers/evaluation-settings.js';
import { AppError } from '../app/errors.js';
import type { StudyGateway } from '../app/study-gateway.js';
import { compareForecasts, CompareError, isResultOf, type ComparedForecasts } from '../results/compare.js';
import { CommandError } from './command-error.js';
import { wholeNumber } from './option-values.js';
import { figureOrDash, print, table } from './print.js';
import { completeTrials } from './save-results.js';
import { gatewayOptions, withGateway, type GatewayOptions } from './with-gateway.js';

interface CompareOptions extends GatewayOptions {
  readonly top: number;
}

/** Trials that are compared with the first at most. */
const comparedMax = 1_000;

const trialNumbers = (text: string, before: readonly number[] = []): readonly number[] => {
  const [, digits] = /^#?(\d{1,8})$/.exec(text) ?? [];
  if (digits === undefined)
    throw new InvalidArgumentError('Give the numbers of trials, as coordinator top shows them.');
  return [...before, Number(digits)];
};

export function addCompareCommands(program: Command): void {
  gatewayOptions(
    program
      .command('compare <study>')
      .argument(
        '[trials...]',
        'numbers; all others are compared with the first (default: the best)',
        trialNumbers,
      )
      .description('how far other trials are from one, on the very same candles')
      .addOption(
        new Option('--top <n>', 'without numbers: how many of the best')
          .default(5)
          .env('PARZEN_COMPARE_TOP')
          .argParser(wholeNumber(2, comparedMax)),
      ),
  ).action((study: string, numbers: readonly number[], options: CompareOptions, command: Command) => {
    if (numbers.length > 0 && command.getOptionValueSource('top') === 'cli')
      throw new CommandError('--top is for the best; give it, or the numbers of trials', 2);
    return withGateway(options, (gateway) => compare(gateway, study, { ...options, numbers }));
  });
  gatewayOptions(
    program
      .command('forecasts <study>')
      .argument('<trial>', 'its number', trialNumbers)
      .description('what a trial forecast for each of its test candles, as CSV'),
  ).action((study: string, [number = 0]: readonly number[], options: GatewayOptions) =>
    withGateway(options, async (gateway) => {
      const { trials } = await gateway.trials(study, { fromNumber: number, limit: 1, states: [] });
      const [trial] = trials;
      if (trial?.number !== number || trial.state !== 'COMPLETE')
        throw new CommandError(`study '${study}' has no complete trial ${number}`);
      const forecasts = await forecastsOf(gateway, study, number);
      if (forecasts === null) throw new CommandError(noForecasts(study, number));
      print(options.json ? toJson(plain(forecasts), 0) : csv(forecasts));
    }),
  );
}

/** Null where the trial left none. */
async function forecastsOf(gateway: StudyGateway, study: string, number: number): Promise<Forecasts | null> {
  try {
    const { content, hash } = await gateway.artifact(study, { number, name: 'forecasts' });
    if (createHash('sha256').update(content).digest('hex') !== hash)
      throw new ForecastCodecError(
        'its forecasts are damaged: they have another hash than when they were kept',
      );
    return decodeForecasts(content);
  } catch (error) {
    if (error instanceof ForecastCodecError)
      throw new CommandError(`trial ${number} of study '${study}': ${error.message}`);
    if (error instanceof AppError && error.code === 'not-found') return null;
    throw error;
  }
}

const noForecasts = (study: string, number: number): string =>
  `trial ${number} of study '${study}' left no forecasts: the trainer hermite keeps them, unless evaluation.forecasts is ` +
  'drop or they are above 3 MiB';

interface ComparedTrial {
  readonly trial: Trial;
  readonly compared: ComparedForecasts;
}

async function compare(
  gateway: StudyGateway,
  name: string,
  { numbers, top, json }: CompareOptions & { readonly numbers: readonly number[] },
): Promise<void> {
  const { study, complete } = await completeTrials(gateway, name);
  const chosen = chosenTrials(study, complete, { numbers, top });
  const left: { readonly trial: Trial; readonly forecasts: Forecasts }[] = [];
  const without: number[] = [];
  for (const trial of chosen) {
    const forecasts = await checkedForecasts(gateway, study, trial);
    if (forecasts !== null) left.push({ trial, forecasts });
    else if (numbers.length > 0) throw new CommandError(noForecasts(name, trial.number));
    else without.push(trial.number);
  }
  const [reference, ...others] = left;
  if (reference === undefined || others.length === 0)
    throw new CommandError(
      without[0] === undefined
        ? 'two different trials are needed to compare them'
        : noForecasts(name, without[0]),
    );
  const first = reference.trial;
  const compared: ComparedTrial[] = [];
  for (const { trial, forecasts } of others) {
    try {
      compared.push({
        trial,
        compared: compareForecasts(study.definition.objectives, forecasts, reference.forecasts),
      });
    } catch (error) {
      if (!(error instanceof CompareError)) throw error;
      throw new CommandError(
        `trials ${first.number} and ${trial.number} cannot be compared: ${error.message}`,
      );
    }
  }
  print(
    json
      ? toJson(comparedJson(study, first, { compared, without }))
      : comparedText(study, first, { compared, without }),
  );
}

/** The trials by number in the order given, or the best. */
function chosenTrials(
  { name, definition }: StudyView,
  complete: readonly Trial[],
  { numbers, top }: { readonly numbers: readonly number[]; readonly top: number },
): readonly Trial[] {
  const directions = definition.objectives.map(({ direction }) => direction);
  // What the failure policy gave a value has forecast nothing.
  if (numbers.length === 0) return topTrials(directions, complete.filter(hasOwnValue), top);
  return [...new Set(numbers)].map((number) => {
    const trial = complete.find((each) => each.number === number);
    if (trial === undefined) throw new CommandError(`study '${name}' has no complete trial ${number}`);
    return trial;
  });
}

/** The forecasts of a trial, null without any; refused where they are not those that its result was made of. */
async function checkedForecasts(
  gateway: StudyGateway,
  { name, definition }: StudyView,
  { number, metrics }: Trial,
): Promise<Forecasts | null> {
  const forecasts = await forecastsOf(gateway, name, number);
  const evaluation = definition.trainer === 'hermite' ? parseEvaluation(definition.evaluation) : null;
  const isPooled =
    evaluation?.ok === true &&
    evaluation.evaluation.auc === 'mid-rank' &&
    evaluation.evaluation.sharpeAggregation === 'concatenated';
  if (isPooled && forecasts !== null && !isResultOf(forecasts, metrics))
    throw new CommandError(
      `the forecasts that trial ${number} left are not those its result was made of; they may be of an earlier attempt`,
    );
  return forecasts;
}

interface Comparison {
  readonly compared: readonly ComparedTrial[];
  /** Trials that left no forecasts. */
  readonly without: readonly number[];
}

const comparedJson = (study: StudyView, first: Trial, { compared, without }: Comparison): unknown => ({
  study: study.name,
  first: first.number,
  withoutForecasts: without,
  others: compared.map(({ trial, compared: { candles, leftOut, objectives, figures } }) => ({
    trial: trial.number,
    candles,
    leftOut,
    objectives: Object.fromEntries(
      study.definition.objectives.map(({ name }, index) => [name, objectives[index] ?? null]),
    ),
    figures,
  })),
});

const upper = (text: string): string => text.toUpperCase();

function comparedText(study: StudyView, first: Trial, { compared, without }: Comparison): string {
  const { objectives } = study.definition;
  const title = [...objectives.map(({ name }) => name), ...pairedFigures].flatMap((name) => [
    `Δ ${upper(name)}`,
    '±',
    'P',
  ]);
  const fields = (difference: PairedDifference | null | undefined): readonly string[] =>
    difference == null
      ? ['–', '–', '–']
      : [rounded(difference.difference), rounded(difference.standardError), rounded(difference.pValue)];
  const rows = compared.map(({ trial, compared: { candles, objectives: differences, figures } }) => [
    `#${trial.number}`,
    String(candles),
    ...objectives.flatMap((_, index) => fields(differences[index])),
    ...pairedFigures.flatMap((name) => fields(figures[name])),
  ]);
  const leftOut = Math.max(...compared.map((each) => each.compared.leftOut));
  return [
    table([['TRIAL', 'CANDLES', ...title], ...rows]),
    '',
    ...(without.length === 0
      ? []
      : [`Left out, since they left no forecasts: ${without.map((number) => `#${number}`).join(', ')}.`]),
    ...(leftOut === 0
      ? []
      : [`Up to ${leftOut} candles that both forecast are left out: in pieces too short to rank rows in.`]),
    `Each less trial #${first.number} (of BRIER, less is better), on the candles that both forecast: what the period gave to both is in`,
    'no difference. P is the chance of a difference as large between two that are equally good; of trials that were picked for',
    'their values, the best of many, it says less than it seems: coordinator replicate trains them again.',
  ].join('\n');
}

/** Three significant digits are as many as an error has. */
const rounded = (value: number): string => figureOrDash(Number(value.toPrecision(3)));

const columns = ['y', 'score', 'probability', 'mu', 'sigma'] as const;

const plain = (forecasts: Forecasts): unknown => ({
  folds: forecasts.folds,
  horizon: forecasts.horizon,
  secondsPerStep: forecasts.secondsPerStep,
  anchorTimeMs: [...forecasts.anchorTimeMs],
  ...Object.fromEntries(columns.map((name) => [name, [...forecasts[name]]])),
});

function csv(forecasts: Forecasts): string {
  const lines = [['fold', 'anchor_time', ...columns].join(',')];
  let row = 0;
  forecasts.folds.forEach((rows, fold) => {
    for (const end = row + rows; row < end; row++) {
      const time = new Date(forecasts.anchorTimeMs[row] ?? NaN).toISOString();
      lines.push([fold, time, ...columns.map((name) => forecasts[name][row])].join(','));
    }
  });
  return lines.join('\n');
}
