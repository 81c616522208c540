/** Commands that look at studies and steer them. */
import { Option, type Command } from 'commander';
import { toJson } from '../../shared/core/json.js';
import { finishedCount, type StudyView } from '../../shared/core/study/study.js';
import { trialReasons } from '../../shared/core/study/trial.js';
import type { StudyGateway } from '../app/study-gateway.js';
import { CommandError } from './command-error.js';
import { addEnqueueCommand } from './enqueue-command.js';
import { trialBudget } from './option-values.js';
import { figure, minute, print, table } from './print.js';
import { readText } from './read-text.js';
import { gatewayOptions, withGateway, type GatewayOptions } from './with-gateway.js';

export function addStudyCommands(program: Command): void {
  gatewayOptions(program.command('status [study]').description('how studies are going')).action(
    (name: string | undefined, options: GatewayOptions) =>
      withGateway(options, async (gateway) => {
        const studies = name === undefined ? await gateway.list() : [await gateway.get(name)];
        print(options.json ? toJson(studies.map(statusJson)) : statusText(studies));
      }),
  );
  for (const [verb, description] of [
    ['pause', 'hand out no more trials for now'],
    ['resume', 'hand out trials again'],
    ['stop', 'end a study; its open trials are cancelled'],
  ] as const)
    gatewayOptions(program.command(`${verb} <study>`).description(description)).action(
      (name: string, options: GatewayOptions) =>
        withGateway(options, async (gateway) => {
          const study = await gateway[verb](name);
          print(options.json ? toJson(statusJson(study)) : `study '${name}' is ${study.state}`);
        }),
    );
  addEnqueueCommand(program);
  gatewayOptions(
    program
      .command('verify <study>')
      .description('recompute every suggestion from what is stored; name the first that differs'),
  ).action((name: string, options: GatewayOptions) =>
    withGateway(options, async (gateway) => {
      const verification = await gateway.verify(name);
      if (options.json) print(toJson(verification));
      const { suggestions, difference } = verification;
      if (difference !== null)
        throw new CommandError(
          `study '${name}': trial ${difference.number} differs in ${difference.field}: ` +
            `stored ${difference.stored}, recomputed ${difference.recomputed}`,
        );
      if (!options.json)
        print(
          `study '${name}': all ${suggestions} suggestions are exactly what the sampler makes of what it saw`,
        );
    }),
  );
  addStudyGroup(program.command('study').description('create, list, show and delete studies'));
}

function addStudyGroup(group: Command): void {
  gatewayOptions(group.command('list').description('all studies')).action((options: GatewayOptions) =>
    withGateway(options, async (gateway) => {
      const studies = await gateway.list();
      print(options.json ? toJson(studies.map(statusJson)) : listText(studies));
    }),
  );
  gatewayOptions(group.command('show <study>').description('the study file as it was given')).action(
    (name: string, options: GatewayOptions) =>
      withGateway(options, async (gateway) => {
        const study = await gateway.get(name);
        print(options.json ? toJson(study) : study.definitionText);
      }),
  );
  gatewayOptions(
    group
      .command('create <file>')
      .description('create a study from its file, or resume it')
      .addOption(
        new Option('--trials <n>', "budget instead of the file's")
          .env('PARZEN_TRIALS')
          .argParser(trialBudget),
      )
      .addOption(new Option('--data <name>', 'data set by name or hash').env('PARZEN_DATA')),
  ).action((file: string, options: GatewayOptions & { trials?: number; data?: string }) =>
    withGateway(options, (gateway) => createFromFile(gateway, file, options), { create: true }),
  );
  gatewayOptions(group.command('delete <study>').description('remove a study and all its trials')).action(
    (name: string, options: GatewayOptions) =>
      withGateway(options, async (gateway) => {
        await gateway.delete(name);
        print(options.json ? toJson({ deleted: name }) : `study '${name}' is deleted`);
      }),
  );
}

async function createFromFile(
  gateway: StudyGateway,
  file: string,
  options: GatewayOptions & { trials?: number; data?: string },
): Promise<void> {
  const definitionText = await readText(file);
  const { trials = null, data: dataset = null } = options;
  const { study, created } = await gateway.create({ definitionText, trials, dataset });
  print(
    options.json
      ? toJson(statusJson(study))
      : `study '${study.name}' ${created ? 'created' : 'resumed'}: ${study.trialsMax} trials`,
  );
}

/** A study without the long texts, for machines. */
const statusJson = (study: StudyView): Partial<StudyView> =>
  Object.fromEntries(
    Object.entries(study).filter(([key]) => key !== 'definition' && key !== 'definitionText'),
  );

function statusText(studies: readonly StudyView[]): string {
  if (studies.length === 0) return 'no studies yet; start one: coordinator start --study quick';
  return studies.map(oneStatus).join('\n\n');
}

function oneStatus(study: StudyView): string {
  const { counts } = study;
  const open = `${counts.RUNNING} running, ${counts.WAITING} waiting`;
  return [
    `study     ${study.name} (${study.state})`,
    `trials    ${finishedCount(counts)} of ${study.trialsMax} finished; ${open}`,
    `finished  ${counts.COMPLETE} complete, ${counts.PRUNED} pruned, ${counts.FAIL} failed, ${counts.CANCELLED} cancelled`,
    `reasons   ${countsText(study.reasons)}`,
    `attempts  ${countsText(study.attempts)}`,
    `best      ${study.best.length === 0 ? '–' : study.best.map((number) => `#${number}`).join(', ')}`,
    `workers   ${study.workersAlive} alive`,
    `data      ${study.dataset ?? 'none'}`,
  ].join('\n');
}

/** Counts by reason in the order of the contract, so that two looks compare at a glance. */
function countsText(counts: StudyView['reasons']): string {
  const parts = trialReasons.flatMap((reason) =>
    reason in counts ? [`${reason} ${counts[reason] ?? 0}`] : [],
  );
  return parts.length === 0 ? '–' : parts.join(', ');
}

function listText(studies: readonly StudyView[]): string {
  if (studies.length === 0) return 'no studies yet; start one: coordinator start --study quick';
  const rows = studies.map((study) => [
    study.name,
    study.state,
    `${finishedCount(study.counts)}/${study.trialsMax}`,
    figure(study.counts.RUNNING),
    study.best.map((number) => `#${number}`).join(' '),
    minute(study.createdAtMs),
  ]);
  return table([['STUDY', 'STATE', 'FINISHED', 'RUNNING', 'BEST', 'CREATED (UTC)'], ...rows]);
}
