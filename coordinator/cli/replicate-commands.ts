/** Commands that train the best trials again from other seeds, and say what became of them. */
import { Option, type Command } from 'commander';
import { topTrials } from '../../shared/core/study/ranking.js';
import type { StudyView } from '../../shared/core/study/study.js';
import { finishedCount } from '../../shared/core/study/study.js';
import type { StudyGateway } from '../app/study-gateway.js';
import {
  replicatesNameOf,
  replicatesOf,
  replicatesStudyText,
  type Replicated,
} from '../results/replicates.js';
import { CommandError } from './command-error.js';
import { wholeNumber } from './option-values.js';
import { figure, print, table, toJson } from './print.js';
import { allTrials } from './save-results.js';
import { gatewayOptions, withGateway, type GatewayOptions } from './with-gateway.js';

interface ReplicateOptions extends GatewayOptions {
  readonly top: number;
  readonly times: number;
}

/** Runs that one study of replicates has at most. */
const runsMax = 1_000;

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
      ),
  ).action((name: string, options: ReplicateOptions) =>
    withGateway(options, (gateway) => replicate(gateway, name, options), { create: true }),
  );
  gatewayOptions(
    program
      .command('replicates <study>')
      .description('how the best trials fared from other seeds: mean and spread'),
  ).action((name: string, options: GatewayOptions) =>
    withGateway(options, (gateway) => showReplicates(gateway, name, options)),
  );
}

async function replicate(
  gateway: StudyGateway,
  name: string,
  { top, times, json }: ReplicateOptions,
): Promise<void> {
  const study = await gateway.get(name);
  const directions = study.definition.objectives.map(({ direction }) => direction);
  const complete = (await allTrials(gateway, name)).filter(({ state }) => state === 'COMPLETE');
  const finalists = topTrials(directions, complete, top);
  if (finalists.length === 0) throw new CommandError(`study '${name}' has no complete trial yet`);
  if (finalists.length * times > runsMax)
    throw new CommandError(
      `${finalists.length} trials, ${times} times each, are more than ${runsMax} runs; ask for fewer`,
      2,
    );
  const request = { name: replicatesNameOf(name), finalists, times };
  const { study: made, created } = await gateway.create({
    definitionText: replicatesStudyText(study, request),
    trials: null,
    // The data that the search began with, whatever their name stands for by now.
    dataset: study.definition.data.kind === 'dataset' ? study.dataset : null,
  });
  const numbers = finalists.map(({ number }) => `#${number}`).join(', ');
  print(
    json
      ? toJson({ study: made.name, trials: made.trialsMax, finalists: finalists.map(({ number }) => number) })
      : `study '${made.name}' ${created ? 'created' : 'was there already'}: ${numbers}, each ${times} times; ` +
          `run it: coordinator start --study ${made.name} --workers auto; see it: coordinator replicates ${name}`,
  );
}

async function showReplicates(gateway: StudyGateway, name: string, { json }: GatewayOptions): Promise<void> {
  const study = await gateway.get(name);
  const replicates = await gateway.get(replicatesNameOf(name)).catch((error: unknown) => {
    throw new CommandError(
      `${error instanceof Error ? error.message : String(error)}; make it: coordinator replicate ${name}`,
    );
  });
  const { objectives } = study.definition;
  const found = replicatesOf(
    await allTrials(gateway, name),
    await allTrials(gateway, replicates.name),
    objectives.length,
  );
  if (json) print(toJson(found.map((each) => ({ ...each, original: each.original?.number ?? null }))));
  else print(replicatesText(study, replicates, found));
}

function replicatesText(study: StudyView, replicates: StudyView, found: readonly Replicated[]): string {
  const { objectives } = study.definition;
  const title = objectives.flatMap(({ name }) => [name.toUpperCase(), 'MEAN', 'SD', '± OF MEAN']);
  const rows = found.map(({ original, complete, runs, mean, sd }) => [
    original === null ? '–' : `#${original.number}`,
    `${complete}/${runs}`,
    ...objectives.flatMap((_, index) => [
      figure(original?.values[index]),
      figure(mean[index]),
      figure(sd[index]),
      figure((sd[index] ?? NaN) / Math.sqrt(complete)),
    ]),
  ]);
  const done = `${finishedCount(replicates.counts)} of ${replicates.trialsMax} runs finished`;
  return [
    table([['TRIAL', 'RUNS', ...title], ...rows]),
    '',
    `${done}. MEAN and SD are over seeds: the value that was searched for was the best of many, of its seed as well; the`,
    'mean is free of that. All runs are judged on the same data, whose own uncertainty is what stands behind ± in coordinator top.',
  ].join('\n');
}
