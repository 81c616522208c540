/** Commands on what trials forecast: compared candle by candle, and as a table. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import {
  decodeForecasts,
  ForecastCodecError,
  type Forecasts,
} from '../../shared/core/market/forecast-codec.js';
import type { PairedDifference } from '../../shared/core/metrics/paired.js';
import { pairedFigures } from '../../shared/core/metrics/paired.js';
import { topTrials } from '../../shared/core/study/ranking.js';
import type { StudyView } from '../../shared/core/study/study.js';
import type { Trial } from '../../shared/core/study/trial.js';
import { parseEvaluation } from '../../shared/core/trainers/evaluation-settings.js';
import { AppError } from '../app/errors.js';
import type { StudyGateway } from '../app/study-gateway.js';
import { compareForecasts, CompareError, isResultOf, type ComparedForecasts } from '../results/compare.js';
import { CommandError } from './command-error.js';
import { wholeNumber } from './option-values.js';
import { figure, print, table, toJson } from './print.js';
import { allTrials } from './save-results.js';
import { gatewayOptions, withGateway, type GatewayOptions } from './with-gateway.js';

interface CompareOptions extends GatewayOptions {
  readonly top: number;
}

/** Trials that are compared with the first at most. */
const comparedMax = 1_000;
const numberMax = 10_000_000;

const trialNumbers = (text: string, before: readonly number[] = []): readonly number[] => {
  const number = Number(text.replace(/^#/, ''));
  if (text === '' || !Number.isInteger(number) || number < 0 || number > numberMax)
    throw new InvalidArgumentError('Give the numbers of trials, as coordinator top shows them.');
  return [...before, number];
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
      .description('how much better one trial is than others, on the very same candles')
      .addOption(
        new Option('--top <n>', 'without numbers: how many of the best')
          .default(5)
          .env('PARZEN_COMPARE_TOP')
          .argParser(wholeNumber(2, comparedMax)),
      ),
  ).action((study: string, numbers: readonly number[], options: CompareOptions) =>
    withGateway(options, (gateway) => compare(gateway, study, { ...options, numbers })),
  );
  gatewayOptions(
    program
      .command('forecasts <study>')
      .argument('<trial>', 'its number', trialNumbers)
      .description('what a trial forecast for each of its test candles, as CSV'),
  ).action((study: string, [number = 0]: readonly number[], options: GatewayOptions) =>
    withGateway(options, async (gateway) => {
      const forecasts = await forecastsOf(gateway, study, number);
      print(options.json ? toJson(plain(forecasts), 0) : csv(forecasts));
    }),
  );
}

async function forecastsOf(gateway: StudyGateway, study: string, number: number): Promise<Forecasts> {
  try {
    return decodeForecasts((await gateway.artifact(study, { number, name: 'forecasts' })).content);
  } catch (error) {
    if (error instanceof ForecastCodecError)
      throw new CommandError(`trial ${number} of study '${study}': ${error.message}`);
    if (!(error instanceof AppError) || error.code !== 'not-found') throw error;
    // That there is no such study is said by itself.
    await gateway.get(study);
    throw new CommandError(
      `trial ${number} of study '${study}' left no forecasts: they are kept of complete trials of the trainer hermite, ` +
        'unless evaluation.forecasts is drop',
    );
  }
}

interface ComparedTrial {
  readonly trial: Trial;
  readonly compared: ComparedForecasts;
}

async function compare(
  gateway: StudyGateway,
  name: string,
  { numbers, top, json }: CompareOptions & { readonly numbers: readonly number[] },
): Promise<void> {
  const study = await gateway.get(name);
  const [first, ...others] = await chosenTrials(gateway, study, { numbers, top });
  if (first === undefined || others.length === 0)
    throw new CommandError('two different trials are needed to compare them');
  const reference = await checkedForecasts(gateway, study, first);
  const compared: ComparedTrial[] = [];
  for (const trial of others) {
    const forecasts = await checkedForecasts(gateway, study, trial);
    try {
      compared.push({ trial, compared: compareForecasts(study.definition.objectives, forecasts, reference) });
    } catch (error) {
      if (!(error instanceof CompareError)) throw error;
      throw new CommandError(
        `trials ${first.number} and ${trial.number} cannot be compared: ${error.message}`,
      );
    }
  }
  print(json ? toJson(comparedJson(study, first, compared)) : comparedText(study, first, compared));
}

/** The trials by number in the order given, or the best. */
async function chosenTrials(
  gateway: StudyGateway,
  { name, definition }: StudyView,
  { numbers, top }: { readonly numbers: readonly number[]; readonly top: number },
): Promise<readonly Trial[]> {
  const complete = (await allTrials(gateway, name)).filter(({ state }) => state === 'COMPLETE');
  if (complete.length === 0) throw new CommandError(`study '${name}' has no complete trial yet`);
  const directions = definition.objectives.map(({ direction }) => direction);
  // What the failure policy gave a value has forecast nothing.
  const judged = complete.filter(({ reason }) => reason === 'finished');
  if (numbers.length === 0) return topTrials(directions, judged, top);
  return [...new Set(numbers)].map((number) => {
    const trial = complete.find((each) => each.number === number);
    if (trial === undefined) throw new CommandError(`study '${name}' has no complete trial ${number}`);
    return trial;
  });
}

/** The forecasts of a trial, refused where they are not those that its result was made of. */
async function checkedForecasts(
  gateway: StudyGateway,
  { name, definition }: StudyView,
  { number, metrics }: Trial,
): Promise<Forecasts> {
  const forecasts = await forecastsOf(gateway, name, number);
  const evaluation = definition.trainer === 'hermite' ? parseEvaluation(definition.evaluation) : null;
  const isPooled =
    evaluation?.ok === true &&
    evaluation.evaluation.auc === 'mid-rank' &&
    evaluation.evaluation.sharpeAggregation === 'concatenated';
  if (isPooled && !isResultOf(forecasts, metrics))
    throw new CommandError(
      `the forecasts that trial ${number} left are not those its result was made of; they may be of an earlier attempt`,
    );
  return forecasts;
}

const comparedJson = (study: StudyView, first: Trial, compared: readonly ComparedTrial[]): unknown => ({
  study: study.name,
  first: first.number,
  others: compared.map(({ trial, compared: { candles, objectives, figures } }) => ({
    trial: trial.number,
    candles,
    objectives: Object.fromEntries(
      study.definition.objectives.map(({ name }, index) => [name, objectives[index] ?? null]),
    ),
    figures,
  })),
});

const upper = (text: string): string => text.toUpperCase();

function comparedText(study: StudyView, first: Trial, compared: readonly ComparedTrial[]): string {
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
  return [
    table([['TRIAL', 'CANDLES', ...title], ...rows]),
    '',
    `Each less trial #${first.number}, on the candles that both forecast: what the period gave to both is in no difference. P is the`,
    'chance of a difference as large between two that are equally good; of trials that were picked for their values, the',
    'best of many, it says less than it seems: coordinator replicate trains them again.',
  ].join('\n');
}

/** Three significant digits are as many as an error has. */
const rounded = (value: number): string => (Number.isNaN(value) ? '–' : figure(Number(value.toPrecision(3))));

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
