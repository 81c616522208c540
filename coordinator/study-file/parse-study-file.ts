/**
 * Reads a study file (architecture §7). YAML 1.2; every mistake is reported at once with its place; unknown keys are
 * mistakes. The sections are read one by one in `read-*.ts`.
 */
import { isCollection, isMap, isScalar, isSeq, LineCounter, visit, type Document } from 'yaml';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import { builtInTrainers } from '../../shared/core/trainers/built-in.js';
import type { SettingRecord } from '../../shared/core/trainers/setting-schema.js';
import { checkHermite } from './check-hermite.js';
import { didYouMean } from './did-you-mean.js';
import { findExcess, nestedTooDeeply } from './find-excess.js';
import { studyFileLimits } from './limits.js';
import { MapReader, readList, readMap, readNumber, readText, readValue } from './map-reader.js';
import type { Located, ReadContext } from './map-reader.js';
import { nameRule } from './names.js';
import { parseYamlText } from './parse-yaml.js';
import { ProblemList, type Place, type StudyFileProblem } from './problems.js';
import { readData } from './read-data.js';
import { readFailure } from './read-failure.js';
import { readObjectives } from './read-objectives.js';
import { readEnqueue, readFixed } from './read-params.js';
import { readSampler } from './read-sampler.js';
import { readSpace } from './read-space.js';
import { trainerDefault } from './study-defaults.js';

export { formatProblems, type StudyFileProblem } from './problems.js';

export type ParsedStudyFile =
  | {
      readonly kind: 'ok';
      readonly definition: StudyDefinition;
      /** What was allowed but read differently from how it was written: `12:5 space.x.high: …`. */
      readonly notices: readonly string[];
    }
  | { readonly kind: 'problems'; readonly problems: readonly StudyFileProblem[] };

/** The study that the text of a file states, every default filled in; or all that is wrong with it. Never throws. */
export function parseStudyFile(text: string): ParsedStudyFile {
  const start: Place = { offset: 0, path: '' };
  const bytes = Buffer.byteLength(text);
  const problems = new ProblemList(linesOf(bytes > studyFileLimits.bytesMax ? '' : text));
  const document = bytes > studyFileLimits.bytesMax ? null : parseYaml(text, problems);
  if (bytes > studyFileLimits.bytesMax)
    problems.add(start, `the file has ${bytes} bytes, at most ${studyFileLimits.bytesMax} are read`);
  if (document === null) return { kind: 'problems', problems: problems.sorted() };
  const context: ReadContext = { document, problems };
  if (!isMap(document.contents)) {
    const what = document.contents === null ? 'is empty' : 'does not hold a map';
    problems.add(
      start,
      `the file ${what}; expected keys such as name, direction, objective, trials and space`,
    );
    return { kind: 'problems', problems: problems.sorted() };
  }
  const definition = readDefinition(context, new MapReader(context, document.contents, start));
  return problems.isEmpty()
    ? { kind: 'ok', definition, notices: problems.notices }
    : { kind: 'problems', problems: problems.sorted() };
}

/** Where lines begin. The library's own count leaves out those within what it cannot read. */
function linesOf(text: string): LineCounter {
  const counter = new LineCounter();
  counter.addNewLine(0);
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', end + 1)) counter.addNewLine(end + 1);
  return counter;
}

function readDefinition(context: ReadContext, root: MapReader): StudyDefinition {
  const name = root.require('name', nameRule.wanted);
  const objectives = readObjectives(context, root);
  const trials = root.require('trials', 'the number of trials in the study');
  const space = readSpace(context, root);
  const fixed = readFixed(context, root, space);
  const enqueue = readEnqueue(context, root, { space, fixed: fixed.params });
  const evaluation = readEvaluation(context, root);
  const trainerValue = root.find('trainer');
  const trainer = trainerValue === null ? trainerDefault : (readText(context, trainerValue, nameRule) ?? '');
  const budget = { whole: true, low: 1, high: studyFileLimits.trialsMax };
  const trialsMax = trials === null ? null : readNumber(context, trials, budget);
  const definition: StudyDefinition = {
    name: (name === null ? null : readText(context, name, nameRule)) ?? '',
    objectives,
    trials: trialsMax ?? 1,
    sampler: readSampler(context, root, objectives.length),
    space: [...space.parameters.values()].map(({ parameter }) => parameter),
    fixed: fixed.params,
    enqueue: enqueue.map(({ params }) => params),
    trainer,
    data: readData(context, root),
    evaluation: evaluation.record,
    failure: readFailure(context, root),
  };
  root.finish((key) => helperKeyRemark(context, key));
  if (trainer === 'hermite')
    checkHermite(context, { root, space: space.parameters, fixed, enqueue, evaluation });
  else if (trainerValue !== null && trainer !== '' && !isBuiltIn(trainer))
    context.problems.notice(trainerValue.place, commandTrainerNotice(trainer));
  if (trialsMax !== null && trials !== null && enqueue.length > trialsMax)
    context.problems.add(trials.place, `is ${trialsMax}, less than the ${enqueue.length} entries of enqueue`);
  return definition;
}

/** For keys of one's own that hold a part to be used elsewhere, as files of other programs have them. */
function helperKeyRemark({ document }: ReadContext, key: string): string | null {
  const value: unknown = isMap(document.contents) ? document.contents.get(key, true) : null;
  const anchor = isScalar(value) || isCollection(value) ? value.anchor : undefined;
  if (anchor === undefined && !/^(x-|[_.])/.test(key)) return null;
  return (
    'unknown key; a study file has no keys of its own for parts used elsewhere: ' +
    `write the part where it is first used, with &${anchor ?? 'name'} in front, and *${anchor ?? 'name'} where it is used again`
  );
}

const isBuiltIn = (trainer: string): boolean => builtInTrainers.some((name) => name === trainer);

function commandTrainerNotice(trainer: string): string {
  const meant = didYouMean(trainer, builtInTrainers);
  const hint = meant === null ? '' : `; did you mean ${meant}?`;
  return `${trainer} is not built in: only workers that allow a command of this name take trials${hint}`;
}

/** The `evaluation` section as written: values, or lists of values. Its meaning is the trainer's. */
function readEvaluation(
  context: ReadContext,
  root: MapReader,
): { record: SettingRecord; places: ReadonlyMap<string, Place> } {
  const section = root.find('evaluation');
  const map = section === null ? null : readMap(context, section);
  const places = new Map<string, Place>();
  const record: [string, SettingRecord[string]][] = [];
  for (const key of map?.keys() ?? []) {
    const value = map?.find(key) ?? null;
    if (value === null) continue;
    places.set(key, value.place);
    const setting = readSetting(context, value);
    if (setting !== undefined) record.push([key, setting]);
  }
  return { record: Object.fromEntries(record), places };
}

function readSetting(context: ReadContext, value: Located): SettingRecord[string] | undefined {
  if (!isSeq(value.node)) return readValue(context, value);
  const items = readList(context, value, studyFileLimits.choicesMax) ?? [];
  const values = items.map((item) => readValue(context, item));
  return values.filter((item) => item !== undefined);
}

/** The YAML document, or null, with problems, when the text is not one that can be read. */
function parseYaml(text: string, problems: ProblemList): Document | null {
  const start: Place = { offset: 0, path: '' };
  const excess = findExcess(text);
  if (excess !== null) {
    problems.add(excess, excess.message);
    return null;
  }
  try {
    const { document, mistakes, furtherAt } = parseYamlText(text);
    for (const { offset, message } of mistakes) problems.add({ offset, path: '' }, yamlMessage(message));
    if (document === null) return null;
    if (document.directives.yaml.version !== '1.2')
      problems.add(start, 'the file asks for an old version of YAML; remove the %YAML line');
    checkAliases(document, problems);
    const isReadable = problems.isEmpty();
    // The first document can be read, so that its mistakes are told at once with this one.
    if (furtherAt !== null) problems.add({ offset: furtherAt, path: '' }, furtherDocument);
    return isReadable ? document : null;
  } catch (error) {
    // A nesting of thousands of levels exhausts the call stack of the parser.
    if (!(error instanceof RangeError)) throw error;
    problems.add(start, yamlMessage(error.message));
    return null;
  }
}

const furtherDocument =
  'a second document begins here (---); a study file holds one study: remove what follows, or put it in a file of its own';

/** The library's messages are clear but for one: its parser runs out of stack on thousands of levels. */
const yamlMessage = (message: string): string =>
  message.includes('call stack') ? nestedTooDeeply : `not valid YAML: ${message}`;

function checkAliases(document: Document, problems: ProblemList): void {
  let aliases = 0;
  visit(document, {
    Alias: (_, node) => {
      aliases++;
      const place = { offset: node.range?.[0] ?? 0, path: '' };
      const most = studyFileLimits.aliasesMax;
      if (aliases > most) problems.add(place, `more than ${most} uses of YAML anchors (*name)`);
      else if (node.resolve(document) === undefined)
        problems.add(place, `the anchor of *${node.source} is nowhere above; define it with &${node.source}`);
      if (aliases <= most) return undefined;
      return visit.BREAK;
    },
  });
}
