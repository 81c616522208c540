/**
 * The file `best_config_<study>.yaml`: everything that made the best trial what it is, in a form that reads back with every
 * float bit for bit (hermite-model.md §18.16). Its `params` can stand as an entry of a study file's `enqueue` list and its
 * `fixed` as that file's `fixed` section, as they are; `worker reproduce` trains it again.
 */
import { parseDocument, stringify } from 'yaml';
import type { ParameterValue, Params } from '../space/parameter.js';
import type { SettingRecord } from '../trainers/setting-schema.js';

export const bestConfigLayout = 'parzen-best-config-1';

export type Plain = ParameterValue | readonly Plain[] | { readonly [key: string]: Plain };

export interface BestConfig {
  readonly study: string;
  readonly trial: number;
  /** Objective values by name. */
  readonly values: Readonly<Record<string, number>>;
  /** Standard errors of the values by name, where the trainer reported what they are made of. */
  readonly standardErrors: Readonly<Record<string, number>>;
  /** The same where they can only be bounded from above (`objectiveError`). */
  readonly standardErrorsAtMost: Readonly<Record<string, number>>;
  /** Numbers of the Pareto front when the study has several objectives; this trial is its first. */
  readonly paretoFront: readonly number[];
  readonly metrics: Readonly<Record<string, number>>;
  readonly params: Params;
  readonly fixed: Params;
  /** Whether a parameter lies off the study's grid. */
  readonly offGrid: boolean;
  readonly trainer: string;
  readonly evaluation: SettingRecord;
  /** What the trainer made of `params`, `fixed` and `evaluation`, all defaults filled in; for people and for comparison. */
  readonly effective: Readonly<Record<string, Plain>>;
  readonly dataset: string | null;
  /** Seed of the study; a trial's own seed derives from it and the number. */
  readonly seed: number;
  readonly definitionHash: string;
}

/** The text does not hold a best configuration; the message says what is wrong with it. */
export class BestConfigError extends Error {
  override readonly name = 'BestConfigError';
}

/** The file's text. */
export function formatBestConfig(config: BestConfig): string {
  const { paretoFront, offGrid, dataset, definitionHash, values, metrics, ...rest } = config;
  const { standardErrors, standardErrorsAtMost } = rest;
  const given = (key: string, record: object): object =>
    Object.keys(record).length > 0 ? { [key]: record } : {};
  const body = {
    layout: bestConfigLayout,
    study: rest.study,
    trial: rest.trial,
    values,
    ...given('standard_errors', standardErrors),
    ...given('standard_errors_at_most', standardErrorsAtMost),
    ...(paretoFront.length > 0 ? { pareto_front: paretoFront } : {}),
    metrics,
    params: rest.params,
    fixed: rest.fixed,
    off_grid: offGrid,
    trainer: rest.trainer,
    evaluation: rest.evaluation,
    effective: rest.effective,
    dataset_sha256: dataset,
    seed: rest.seed,
    definition_sha256: definitionHash,
  };
  const header =
    `# Trial ${config.trial} of study ${config.study}. In a study file, 'params' can be an entry of 'enqueue' as it is,\n` +
    "# and 'fixed' and 'evaluation' the sections of those names. 'effective' shows all defaults filled in.\n";
  return (
    header + stringify(body, { lineWidth: 0, flowCollectionPadding: false, aliasDuplicateObjects: false })
  );
}

/** Reads what `formatBestConfig` wrote. Throws `BestConfigError` for anything else. */
export function readBestConfig(text: string): BestConfig {
  const document = parseDocument(text, { prettyErrors: false });
  const syntax = document.errors[0];
  if (syntax !== undefined) throw new BestConfigError(`not a YAML file: ${syntax.message}`);
  const reader = new FieldReader(document.toJS({ maxAliasCount: 0 }));
  if (reader.text('layout') !== bestConfigLayout)
    throw new BestConfigError(`layout is '${reader.text('layout')}', expected ${bestConfigLayout}`);
  return {
    study: reader.text('study'),
    trial: reader.number('trial'),
    values: reader.numbers('values'),
    standardErrors: reader.has('standard_errors') ? reader.numbers('standard_errors') : {},
    standardErrorsAtMost: reader.has('standard_errors_at_most')
      ? reader.numbers('standard_errors_at_most')
      : {},
    paretoFront: reader.has('pareto_front') ? reader.numberList('pareto_front') : [],
    metrics: reader.numbers('metrics'),
    params: reader.params('params'),
    fixed: reader.params('fixed'),
    offGrid: reader.boolean('off_grid'),
    trainer: reader.text('trainer'),
    evaluation: reader.settings('evaluation'),
    effective: reader.section('effective', isPlain),
    dataset: reader.has('dataset_sha256') ? reader.text('dataset_sha256') : null,
    seed: reader.number('seed'),
    definitionHash: reader.text('definition_sha256'),
  };
}

/** Takes typed fields out of unknown content. */
class FieldReader {
  private readonly fields: Readonly<Record<string, unknown>>;

  constructor(content: unknown) {
    if (!isRecord(content)) throw new BestConfigError('expected a map of fields, beginning with layout');
    this.fields = content;
  }

  /** Whether the field is there and not null. */
  has(key: string): boolean {
    return Object.hasOwn(this.fields, key) && this.fields[key] !== null;
  }

  text(key: string): string {
    return this.typed(key, (value) => typeof value === 'string', 'a text');
  }

  number(key: string): number {
    return this.typed(key, (value) => typeof value === 'number', 'a number');
  }

  boolean(key: string): boolean {
    return this.typed(key, (value) => typeof value === 'boolean', 'true or false');
  }

  numberList(key: string): readonly number[] {
    const isNumbers = (value: unknown): value is number[] =>
      Array.isArray(value) && value.every((item) => typeof item === 'number');
    return this.typed(key, isNumbers, 'a list of numbers');
  }

  numbers(key: string): Readonly<Record<string, number>> {
    return this.section(key, (value) => typeof value === 'number');
  }

  params(key: string): Params {
    return this.section(key, isScalar);
  }

  settings(key: string): SettingRecord {
    return this.section(key, (value) => isScalar(value) || (Array.isArray(value) && value.every(isScalar)));
  }

  section<T>(key: string, isItem: (value: unknown) => value is T): Readonly<Record<string, T>> {
    const isSection = (value: unknown): value is Record<string, T> =>
      isRecord(value) && Object.values(value).every(isItem);
    return this.typed(key, isSection, 'a map of plain values');
  }

  private typed<T>(key: string, isType: (value: unknown) => value is T, wanted: string): T {
    const value = Object.hasOwn(this.fields, key) ? this.fields[key] : undefined;
    if (value === undefined) throw new BestConfigError(`the field ${key} is missing`);
    if (!isType(value)) throw new BestConfigError(`the field ${key} is not ${wanted}`);
    return value;
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isScalar = (value: unknown): value is ParameterValue =>
  value === null || ['number', 'string', 'boolean'].includes(typeof value);

const isPlain = (value: unknown): value is Plain =>
  isScalar(value) || (isRecord(value) ? Object.values(value).every(isPlain) : isPlainList(value));

const isPlainList = (value: unknown): value is readonly Plain[] =>
  Array.isArray(value) && value.every(isPlain);
