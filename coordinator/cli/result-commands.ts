/** Commands that show and write what a study has found. */
import { Option, type Command } from 'commander';
import { toJson } from '../../shared/core/json.js';
import { bestTrials, topTrials } from '../../shared/core/study/ranking.js';
import type { Direction } from '../../shared/core/sampler/sampler.js';
import type { Objective } from '../../shared/core/study/definition.js';
import type { StudyView } from '../../shared/core/study/study.js';
import type { Trial } from '../../shared/core/study/trial.js';
import type { StudyGateway } from '../app/study-gateway.js';
import { defaults } from '../config.js';
import { formatBestConfig } from '../../shared/core/study/best-config.js';
import { bestConfigOf } from '../results/best-config.js';
import { objectiveError } from '../results/standard-error.js';
import { summaryText } from '../results/summary.js';
import { CommandError } from './command-error.js';
import { wholeNumber } from './option-values.js';
import { figure, print, table } from './print.js';
import { completeTrials, saveResults } from './save-results.js';
import { gatewayOptions, withGateway, type GatewayOptions } from './with-gateway.js';

export function addResultCommands(program: Command): void {
  gatewayOptions(
    program
      .command('best <study>')
      .description('the best configuration, as a file')
      .addOption(
        new Option('--trial <n>', "this trial's configuration instead")
          .env('PARZEN_BEST_TRIAL')
          .argParser(wholeNumber(0, numberMax)),
      ),
  ).action((name: string, options: BestOptions) =>
    withGateway(options, (gateway) => best(gateway, name, options)),
  );
  gatewayOptions(
    program
      .command('top <study>')
      .description('the best trials')
      .addOption(
        new Option('-n, --count <n>', 'how many')
          .default(10)
          .env('PARZEN_COUNT')
          .argParser(wholeNumber(1, 1_000_000)),
      ),
  ).action((name: string, options: GatewayOptions & { count: number }) =>
    withGateway(options, (gateway) => top(gateway, name, options)),
  );
  gatewayOptions(
    program
      .command('export <study>')
      .description('write best_config, top10.csv and trials.csv')
      .addOption(new Option('--out <dir>', 'folder for the files').default(defaults.out).env('PARZEN_OUT')),
  ).action((name: string, options: GatewayOptions & { out: string }) =>
    withGateway(options, async (gateway) => {
      const { text, files } = await saveResults(gateway, await gateway.get(name), options.out);
      print(options.json ? toJson({ files }) : `${text}\nresults: ${files.join(', ')}`);
    }),
  );
}

interface BestOptions extends GatewayOptions {
  readonly trial?: number;
}

/** Trials are numbered from 0. */
const numberMax = 10_000_000;

const directionsOf = (study: StudyView): readonly Direction[] =>
  study.definition.objectives.map(({ direction }) => direction);

async function best(
  gateway: StudyGateway,
  name: string,
  { json, trial: wanted }: BestOptions,
): Promise<void> {
  const { study, all, complete } = await completeTrials(gateway, name);
  const front = bestTrials(directionsOf(study), complete);
  const shown = wanted === undefined ? front[0] : complete.find(({ number }) => number === wanted);
  if (shown === undefined)
    throw new CommandError(
      wanted === undefined
        ? `study '${name}' has no trial with a finite objective yet`
        : `study '${name}' has no complete trial ${wanted}`,
    );
  const config = bestConfigOf(
    study,
    shown,
    front.map(({ number }) => number),
  );
  print(json ? toJson(config) : formatBestConfig(config));
  // The honest line stands next to every best; on standard error, so that the file above can be piped.
  if (!json) process.stderr.write(`\n${summaryText(study, all)}\n`);
}

async function top(
  gateway: StudyGateway,
  name: string,
  options: GatewayOptions & { count: number },
): Promise<void> {
  const { study, all, complete } = await completeTrials(gateway, name);
  const ranked = topTrials(directionsOf(study), complete, options.count);
  if (options.json) {
    print(toJson(ranked));
    return;
  }
  const objectives = study.definition.objectives.flatMap((objective, index) =>
    objectiveColumns(objective, index, ranked),
  );
  const metrics = metricColumns(study, ranked);
  const rows = ranked.map((trial, rank) => [
    String(rank + 1),
    `#${trial.number}`,
    ...objectives.map(({ field }) => field(trial)),
    ...metrics.map((metric) => figure(trial.metrics[metric])),
  ]);
  print(table([['RANK', 'TRIAL', ...objectives.map(({ title }) => title), ...metrics.map(upper)], ...rows]));
  print(`\n${summaryText(study, all)}`);
}

interface Column {
  readonly title: string;
  readonly field: (trial: Trial) => string;
}

/** An objective's values, with their standard errors where the trainer reported what they are made of. */
function objectiveColumns(objective: Objective, index: number, trials: readonly Trial[]): readonly Column[] {
  const values: Column = { title: upper(objective.name), field: (trial) => figure(trial.values[index]) };
  const errors = trials.map(({ metrics }) => objectiveError(objective, metrics));
  if (errors.every((error) => error === null)) return [values];
  const title = errors.some((error) => error?.atMost === true) ? '± AT MOST' : '±';
  return [values, { title, field: ({ metrics }) => figure(objectiveError(objective, metrics)?.value) }];
}

/** Metric columns at most, so that a row stays a line. */
const metricColumnsMax = 6;
const headlineMetrics = ['auc', 'dir_acc', 'sharpe'];

/** What only says how far another metric may be off. */
const isError = (metric: string): boolean => /_(se|cov)$/.test(metric);

/** The metrics of a table of trials: those the objective is made of, the headline ones, then others by name. */
export function metricColumns(
  { definition }: Pick<StudyView, 'definition'>,
  trials: readonly Pick<Trial, 'metrics'>[],
): readonly string[] {
  const reported = new Set(trials.flatMap(({ metrics }) => Object.keys(metrics)));
  const weighted = definition.objectives.flatMap(({ weights }) => Object.keys(weights));
  const others = [...reported].filter((metric) => !isError(metric)).sort();
  return [...new Set([...weighted, ...headlineMetrics, ...others])]
    .filter((metric) => reported.has(metric))
    .slice(0, metricColumnsMax);
}

const upper = (text: string): string => text.toUpperCase();
