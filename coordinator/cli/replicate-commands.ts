/** Commands that train the best trials again from other seeds, and say what became of them. */
import { Option, type Command } from 'commander';
import path from 'node:path';
import { toJson } from '../../shared/core/json.js';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import { finishedCount, type StudyView } from '../../shared/core/study/study.js';
import { withoutSecrets } from '../../shared/platform/log.js';
import { definitionDifferences } from '../app/create-study.js';
import { AppError } from '../app/errors.js';
import type { StudyGateway } from '../app/study-gateway.js';
import { defaults } from '../config.js';
import {
  finalistsOf,
  hasFixedSeeds,
  replicatedStudyOf,
  replicatesNameOf,
  replicatesOf,
  replicatesStudyText,
  type Replicated,
} from '../results/replicates.js';
import { nameRule } from '../study-file/names.js';
import { CommandError } from './command-error.js';
import { wholeNumber } from './option-values.js';
import { parseStudy } from './parse-study.js';
import { figureOrDash, print, table } from './print.js';
import { allTrials } from './save-results.js';
import { gatewayOptions, withGateway, type GatewayOptions } from './with-gateway.js';

interface NamedOptions extends GatewayOptions {
  readonly name?: string;
}

interface ReplicateOptions extends NamedOptions {
  readonly top: number;
  readonly times: number;
}

/** Runs that one study of replicates has at most. */
const runsMax = 1_000;

const nameOption = (): Option =>
  new Option('--name <name>', 'the study of the replicates (default: <study>-replicates)').env(
    'PARZEN_REPLICATES_NAME',
  );

export function addReplicateCommands(program: Command): void {
  gatewayOptions(
    program
      .command('replicate <study>')
      .description('train the best trials again from other seeds, in a study of their own')
      .addOption(
        new Option('--top <n>', 'how many of the best trials')
          .default(5)
          .env('PARZEN_REPLICATE_TOP')
          .argParser(wholeNumber(1, runsMax)),
      )
      .addOption(
        new Option('--times <n>', 'how often each')
          .default(4)
          .env('PARZEN_REPLICATE_TIMES')
          .argParser(wholeNumber(1, runsMax)),
      )
      .addOption(nameOption()),
  ).action((study: string, options: ReplicateOptions, command: Command) =>
    withGateway(
      options,
      async (gateway) => {
        const made = await replicate(gateway, study, options);
        print(options.json ? toJson(made) : madeText(made, study, placeOf(command)));
      },
      { create: true },
    ),
  );
  gatewayOptions(
    program
      .command('replicates <study>')
      .description('how the best trials fared from other seeds: mean and spread')
      .addOption(nameOption()),
  ).action((study: string, options: NamedOptions) =>
    withGateway(options, (gateway) => showReplicates(gateway, study, options)),
  );
}

interface MadeReplicates {
  readonly study: string;
  readonly created: boolean;
  readonly trials: number;
  readonly finalists: readonly number[];
  readonly times: number;
  /** All trials of the search shared their seeds, which the replicates do not. */
  readonly seedsDerived: boolean;
}

async function replicate(
  gateway: StudyGateway,
  of: string,
  { top, times, name = replicatesNameOf(of) }: ReplicateOptions,
): Promise<MadeReplicates> {
  if (!nameRule.pattern.test(name))
    throw new CommandError(
      `'${name}' cannot name a study, which is ${nameRule.wanted}; give one with --name`,
      2,
    );
  const study = await gateway.get(of);
  const { definition } = study;
  const directions = definition.objectives.map(({ direction }) => direction);
  const finalists = finalistsOf(directions, await allTrials(gateway, of), top);
  if (finalists.length === 0)
    throw new CommandError(`study '${of}' has no complete trial yet whose value is its own`);
  if (finalists.length * times > runsMax)
    throw new CommandError(
      `${finalists.length} trials, ${times} times each, are more than ${runsMax} runs; ask for fewer`,
      2,
    );
  const definitionText = replicatesStudyText(study, { name, finalists, times });
  const seedsDerived = hasFixedSeeds(definition);
  refuseAnother(definition, definitionText, seedsDerived);
  // The data that the search began with, whatever their name stands for by now.
  const dataset = definition.data.kind === 'dataset' ? study.dataset : null;
  const { study: made, created } = await gateway
    .create({ definitionText, trials: null, dataset })
    .catch((error: unknown) => {
      if (!(error instanceof AppError) || error.code !== 'already-exists') throw error;
      throw new CommandError(`${error.message} (--name gives these replicates another name)`);
    });
  return {
    ...{ study: made.name, created, trials: made.trialsMax, times, seedsDerived },
    finalists: finalists.map(({ number }) => number),
  };
}

/** What is replicated has to be what was searched, down to the last setting. */
function refuseAnother(definition: StudyDefinition, text: string, seedsDerived: boolean): void {
  const parsed = parseStudy(text);
  if (parsed.kind === 'problems')
    throw new CommandError(`the file of the replicates has mistakes\n${parsed.text}`);
  const own: readonly string[] = ['sampler', 'enqueue', ...(seedsDerived ? ['evaluation'] : [])];
  const other = definitionDifferences(definition, parsed.definition).filter((field) => !own.includes(field));
  if (other.length > 0)
    throw new CommandError(
      `the replicates would differ from study '${definition.name}' in ${other.join(', ')}; nothing was created`,
    );
}

/** Where the next commands find the study: what was given on the command line; the environment is there for them as well. */
interface Place {
  readonly storage: string | null;
  readonly coordinator: string | null;
  /** A running coordinator was named, either way. */
  readonly isRemote: boolean;
}

function placeOf(command: Command): Place {
  const given = (option: string): string | null =>
    command.getOptionValueSource(option) === 'cli' ? String(command.getOptionValue(option)) : null;
  const isRemote = command.getOptionValue('coordinator') !== undefined;
  return { storage: given('storage'), coordinator: given('coordinator'), isRemote };
}

const quoted = (word: string): string =>
  /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

/** What was made, and what to type next. */
export function madeText(
  made: MadeReplicates,
  of: string,
  { storage, coordinator, isRemote }: Place,
): string {
  const { study, created, finalists, times, seedsDerived } = made;
  const on = storage === null ? '' : ` --storage ${quoted(withoutSecrets(storage))}`;
  const at = coordinator === null ? on : ` --coordinator ${coordinator}`;
  const named = study === replicatesNameOf(of) ? '' : ` --name ${study}`;
  const run = `coordinator start --study ${study} --workers auto --out ${path.join(defaults.out, study)}${on}`;
  return [
    `study '${study}' ${created ? 'created' : 'was there already'}: ${finalists.map((number) => `#${number}`).join(', ')}, each ${times} times`,
    ...(seedsDerived
      ? [
          'All trials of the search shared their seeds (seed_policy: v6); here every run has its own, or all would be the same.',
        ]
      : []),
    isRemote
      ? 'run it: a coordinator that serves every study (start without --study) hands it to its workers'
      : `run it: ${run}`,
    `see it: coordinator replicates ${of}${named}${at}`,
  ].join('\n');
}

async function showReplicates(
  gateway: StudyGateway,
  of: string,
  { json, name = replicatesNameOf(of) }: NamedOptions,
): Promise<void> {
  const study = await gateway.get(of);
  const replicates = await gateway.get(name).catch((error: unknown) => {
    throw error instanceof AppError && error.code === 'not-found'
      ? new CommandError(`${error.message}; ${remedyFor(of)}`)
      : error;
  });
  const { objectives } = study.definition;
  const found = replicatesOf({
    original: await allTrials(gateway, of),
    replicates: await allTrials(gateway, name),
    directions: objectives.map(({ direction }) => direction),
  });
  if (json) print(toJson(found.map((each) => ({ ...each, original: each.original?.number ?? null }))));
  else print(replicatesText(study, replicates, found));
}

function remedyFor(study: string): string {
  const searched = replicatedStudyOf(study);
  return searched === null
    ? `make it: coordinator replicate ${study}`
    : `for the replicates of '${searched}': coordinator replicates ${searched}`;
}

function replicatesText(study: StudyView, replicates: StudyView, found: readonly Replicated[]): string {
  const { objectives } = study.definition;
  const title = objectives.flatMap(({ name }) => [name.toUpperCase(), 'MEAN', 'SD', '± OF MEAN']);
  const rows = found.map(({ original, complete, runs, mean, sd }) => [
    original === null ? '–' : `#${original.number}`,
    `${complete}/${runs}`,
    ...objectives.flatMap((_, index) => [
      figureOrDash(original?.values[index]),
      figureOrDash(mean[index]),
      figureOrDash(sd[index]),
      figureOrDash((sd[index] ?? NaN) / Math.sqrt(complete)),
    ]),
  ]);
  const done = `${finishedCount(replicates.counts)} of ${replicates.trialsMax} runs finished`;
  const repeated = found.filter(({ complete }) => complete > 1);
  const allSame = repeated.length > 0 && repeated.every(({ sd }) => sd.every((each) => each === 0));
  return [
    table([['TRIAL', 'RUNS', ...title], ...rows]),
    '',
    ...(allSame
      ? [
          `${done}. Every run of a trial gave the same value: its trainer does not use the seed that it is given, so this says`,
          'nothing about luck.',
        ]
      : [
          `${done}. MEAN and SD are over seeds: the value that was searched for was the best of many, of its seed as well; the`,
          'mean is free of that. All runs are judged on the same data, whose own uncertainty is what stands behind ± in coordinator top.',
        ]),
  ].join('\n');
}
