/** `coordinator enqueue`: a trial with given parameters, from the command line or from a best configuration. */
import { Option, type Command } from 'commander';
import { randomUUID } from 'node:crypto';
import { toJson } from '../../shared/core/json.js';
import type { Params, ParameterValue } from '../../shared/core/space/parameter.js';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import type { StudyGateway } from '../app/study-gateway.js';
import { BestConfigError, readBestConfig, type BestConfig } from '../../shared/core/study/best-config.js';
import { CommandError } from './command-error.js';
import { print } from './print.js';
import { readText } from './read-text.js';
import { gatewayOptions, withGateway, type GatewayOptions } from './with-gateway.js';

interface EnqueueOptions extends GatewayOptions {
  readonly from?: string;
}

export function addEnqueueCommand(program: Command): void {
  gatewayOptions(
    program
      .command('enqueue <study> [params]')
      .description('add a trial: parameters as a JSON object, or those of a best_config file')
      .addOption(
        new Option('--from <file>', 'a best_config file, whose parameters to take').env(
          'PARZEN_ENQUEUE_FROM',
        ),
      ),
  ).action(async (name: string, params: string | undefined, options: EnqueueOptions) => {
    const request = await readRequest(params, options);
    await withGateway(options, async (gateway) => {
      const { number, remarks } = await enqueue(gateway, name, request);
      for (const remark of remarks) process.stderr.write(`${remark}\n`);
      print(options.json ? toJson({ number }) : `trial ${number} will be tried next`);
    });
  });
}

/** Parameters to try; `config` is the best configuration that they come from. */
export interface EnqueueRequest {
  readonly params: Params;
  readonly config: BestConfig | null;
}

async function readRequest(params: string | undefined, { from }: EnqueueOptions): Promise<EnqueueRequest> {
  // What is on the command line wins over PARZEN_ENQUEUE_FROM, as everywhere.
  if (params !== undefined) return { params: paramsOf(params), config: null };
  if (from === undefined)
    throw new CommandError(
      `give the parameters, for example '{"dropout": 0.1}', or --from best_config_….yaml`,
      2,
    );
  try {
    const config = readBestConfig(await readText(from));
    return { params: config.params, config };
  } catch (error) {
    if (!(error instanceof BestConfigError)) throw error;
    throw new CommandError(
      `${from} is no best configuration (${error.message}); coordinator export writes one: best_config_<study>.yaml`,
      2,
    );
  }
}

/**
 * Adds the trial. Of a best configuration, every parameter must be one of the study's; `remarks` say where the trial will
 * differ from the one in the file all the same. Throws `CommandError`, and `AppError` for what the study refuses.
 */
export async function enqueue(
  gateway: Pick<StudyGateway, 'get' | 'enqueue'>,
  name: string,
  { params, config }: EnqueueRequest,
): Promise<{ readonly number: number; readonly remarks: readonly string[] }> {
  const remarks = config === null ? [] : compare((await gateway.get(name)).definition, config);
  const number = await gateway.enqueue(name, { requestId: randomUUID(), params });
  return { number, remarks };
}

function compare({ name, space, fixed, trainer }: StudyDefinition, config: BestConfig): readonly string[] {
  const names = new Set(space.map((parameter) => parameter.name));
  const foreign = Object.keys(config.params).filter((parameter) => !names.has(parameter));
  if (foreign.length > 0)
    throw new CommandError(
      `the configuration is of study '${config.study}' and has parameters that study '${name}' does not search: ` +
        `${foreign.join(', ')}; its parameters are ${[...names].join(', ')}`,
    );
  const missing = [...names].filter((parameter) => !Object.hasOwn(config.params, parameter));
  const shown = (values: Params, key: string): string =>
    Object.hasOwn(values, key) ? JSON.stringify(values[key]) : 'not set';
  const others = [...new Set([...Object.keys(fixed), ...Object.keys(config.fixed)])].filter(
    (key) => shown(fixed, key) !== shown(config.fixed, key),
  );
  return [
    ...(trainer === config.trainer ? [] : [`the trainer here is ${trainer}, in the file ${config.trainer}`]),
    ...others.map((key) => `${key} is ${shown(fixed, key)} here, in the file ${shown(config.fixed, key)}`),
    ...(missing.length === 0 ? [] : [`not in the file, so sampled: ${missing.join(', ')}`]),
  ];
}

/** Parameters as a JSON object. Throws a `CommandError` for anything else. */
export function paramsOf(text: string): Params {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new CommandError(
      `the parameters are not JSON (${error instanceof Error ? error.message : ''}); for example '{"dropout": 0.1}'`,
      2,
    );
  }
  if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed))
    throw new CommandError(`the parameters must be a JSON object, for example '{"dropout": 0.1}'`, 2);
  const entries = Object.entries(parsed).map(([name, value]: [string, unknown]): [string, ParameterValue] => {
    if (
      value === null ||
      typeof value === 'number' ||
      typeof value === 'string' ||
      typeof value === 'boolean'
    )
      return [name, value];
    throw new CommandError(`parameter '${name}' must be a number, a text, true, false or null`, 2);
  });
  return Object.fromEntries(entries);
}
