/** Commands that look into the trials of a study, or of any history given as JSON on standard input. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { toJson } from '../../shared/core/json.js';
import { fanova } from '../analysis/fanova.js';
import { feasibleValues, frontVolume } from '../analysis/front-volume.js';
import { ImportanceError, type AssessedStudy, type Importances } from '../analysis/importance.js';
import { pedAnova } from '../analysis/ped-anova.js';
import type { StudyGateway } from '../app/study-gateway.js';
import { CommandError } from './command-error.js';
import { completedOf, parseCases, parseHistory } from './history-input.js';
import { InputError } from './json-input.js';
import { wholeNumber } from './option-values.js';
import { figure, print, table } from './print.js';
import { readStdin } from './read-stdin.js';
import { completeTrials } from './save-results.js';
import { gatewayOptions, withGateway, type GatewayOptions } from './with-gateway.js';

interface ImportanceOptions extends GatewayOptions {
  readonly evaluator: 'ped-anova' | 'fanova';
  readonly params?: readonly string[];
  readonly objective?: number;
  readonly seed: number;
}

const fromStdin = `
Without a study: reads a history as coordinator suggest --help describes it, one case or a whole file, from standard
input, and prints one line of JSON per case.`;

const seedMax = 2 ** 32 - 1;
const objectivesMax = 1_000;

function numberList(text: string): number[] {
  const numbers = text.split(',').map((part) => (part.trim() === '' ? NaN : Number(part)));
  if (numbers.every((number) => Number.isFinite(number))) return numbers;
  throw new InvalidArgumentError('Give numbers separated by commas, for example 1.5,0.2.');
}

export function addAnalysisCommands(program: Command): void {
  addImportanceCommand(program);
  addHypervolumeCommand(program);
}

function addImportanceCommand(program: Command): void {
  gatewayOptions(
    program
      .command('importance [study]')
      .description('how much each parameter matters for the outcome; shares that sum to 1')
      .addOption(
        new Option(
          '--evaluator <name>',
          'ped-anova: what the best tenth has in common; fanova: share of variance',
        )
          .choices(['ped-anova', 'fanova'])
          .default('ped-anova'),
      )
      .addOption(
        new Option('--params <names>', 'only these, separated by commas').argParser((text) =>
          text.split(','),
        ),
      )
      .addOption(
        new Option('--objective <n>', 'with several objectives: explain this one, counted from 0').argParser(
          wholeNumber(0, objectivesMax),
        ),
      )
      .addOption(new Option('--seed <n>', "of fanova's forest").default(0).argParser(wholeNumber(0, seedMax)))
      .addHelpText('after', fromStdin),
  ).action((name: string | undefined, options: ImportanceOptions) =>
    analyse(name, options, {
      of: (study) => Object.fromEntries(importances(study, options)),
      key: 'importance',
      text: (shares) =>
        table([
          ['PARAMETER', 'IMPORTANCE'],
          ...Object.entries(shares).map(([param, share]) => [param, figure(share)]),
        ]),
    }),
  );
}

function addHypervolumeCommand(program: Command): void {
  gatewayOptions(
    program
      .command('hypervolume [study]')
      .description('volume that the completed and feasible trials dominate, with several objectives')
      .addOption(
        new Option(
          '--reference <values>',
          'a point no better than any trial, one value per objective, separated by commas (default: a tenth beyond the worst of the front)',
        ).argParser(numberList),
      )
      .addHelpText('after', fromStdin),
  ).action((name: string | undefined, options: GatewayOptions & { reference?: readonly number[] }) =>
    analyse(name, options, {
      of: ({ directions, trials }) => frontVolume(directions, feasibleValues(trials), options.reference),
      key: null,
      text: ({ hypervolume, reference }) =>
        `hypervolume ${figure(hypervolume)} with respect to ${reference.map(figure).join(', ')}`,
    }),
  );
}

/** With several objectives one of them has to be named for fANOVA; lower counts as better for the target. */
function importances(
  study: AssessedStudy,
  { evaluator, params, objective, seed }: ImportanceOptions,
): Importances {
  const direction = objective === undefined ? undefined : study.directions[objective];
  if (objective !== undefined && direction === undefined)
    throw new ImportanceError(
      `there is no objective ${objective}; they are counted from 0 to ${study.directions.length - 1}`,
    );
  if (evaluator === 'fanova' && objective === undefined && study.directions.length > 1)
    throw new ImportanceError(
      'with several objectives fanova explains one of them; name it with --objective',
    );
  const sign = direction === 'maximize' ? -1 : 1;
  const assessed: AssessedStudy =
    objective === undefined ? study : { ...study, target: ({ values }) => sign * (values[objective] ?? NaN) };
  return evaluator === 'fanova' ? fanova(assessed, seed, params) : pedAnova(assessed, params);
}

/** What a command makes of a study. */
interface Analysis<T> {
  readonly of: (study: AssessedStudy) => T;
  /** Name of the result in JSON; null: it is an object of named results already. */
  readonly key: string | null;
  readonly text: (result: T) => string;
}

async function analyse<T extends object>(
  name: string | undefined,
  options: GatewayOptions,
  analysis: Analysis<T>,
): Promise<void> {
  try {
    if (name === undefined) await analyseHistories(analysis);
    else
      await withGateway(options, async (gateway) => {
        const result = analysis.of(await storedStudy(gateway, name));
        print(options.json ? toJson(result) : analysis.text(result));
      });
  } catch (error) {
    if (error instanceof InputError) throw new CommandError(error.message, 2);
    if (isRefusal(error)) throw new CommandError(error.message);
    throw error;
  }
}

async function analyseHistories<T extends object>({ of, key }: Analysis<T>): Promise<void> {
  const cases = parseCases(
    await readStdin(
      'name a study, or give a history on standard input: coordinator suggest --help describes it',
    ),
  );
  for (const { index, place, given } of cases) {
    const history = parseHistory(given, place);
    const result = placed(place, () => of({ ...history, trials: completedOf(history) }));
    print(
      toJson(
        { ...(index === null ? {} : { case: index }), ...(key === null ? result : { [key]: result }) },
        0,
      ),
    );
  }
}

/** An error says which case of a file it is about. */
function placed<T>(place: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (place === '' || !isRefusal(error)) throw error;
    throw new CommandError(`${place}: ${error.message}`);
  }
}

const isRefusal = (error: unknown): error is ImportanceError | RangeError =>
  error instanceof ImportanceError || error instanceof RangeError;

async function storedStudy(gateway: StudyGateway, name: string): Promise<AssessedStudy> {
  const { study, complete } = await completeTrials(gateway, name);
  const { objectives, space } = study.definition;
  return { space, directions: objectives.map(({ direction }) => direction), trials: complete };
}
