/** The file behind `worker start --trainers FILE`: strict YAML, every mistake at once, with its line and what would be right. */
import path from 'node:path';
import { LineCounter, isMap, isScalar, isSeq, parseDocument, type Node, type YAMLMap } from 'yaml';
import type { CommandDefinition, CommandTrainers } from './definition.js';

export type ParsedCommands =
  | { readonly ok: true; readonly commands: CommandTrainers }
  | { readonly ok: false; readonly problems: readonly string[] };

const namePattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/;
const variablePattern = /^[A-Za-z_][A-Za-z0-9_]*$/;
const knownKeys = ['command', 'cwd', 'env'];

/** Collects what is wrong, each with its line. */
class Findings {
  readonly problems: string[] = [];
  readonly #file: string;
  readonly #lines: LineCounter;

  constructor(file: string, lines: LineCounter) {
    this.#file = file;
    this.#lines = lines;
  }

  add(node: Node | null, message: string): null {
    const line = node?.range == null ? 1 : this.#lines.linePos(node.range[0]).line;
    this.problems.push(`${this.#file}:${line}: ${message}`);
    return null;
  }
}

interface Entry {
  readonly key: string;
  readonly keyNode: Node;
  readonly value: Node | null;
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && 'range' in value;

/** The pairs of a map; keys that are not plain text are reported. */
function entriesOf(map: YAMLMap, findings: Findings): Entry[] {
  return map.items.flatMap(({ key, value }) => {
    if (isScalar(key) && typeof key.value === 'string')
      return [{ key: key.value, keyNode: key, value: isNode(value) ? value : null }];
    findings.add(isNode(key) ? key : map, 'a key must be a text; put it in quotes');
    return [];
  });
}

/** A text that the operating system can take: no NUL inside. */
function textOf(node: Node | null, what: string, findings: Findings): string | null {
  if (!isScalar(node) || typeof node.value !== 'string') {
    const given = isScalar(node) ? ` (${JSON.stringify(node.value)} is not one: put it in quotes)` : '';
    return findings.add(node, `${what} must be a text${given}`);
  }
  if (node.value.includes('\0')) return findings.add(node, `${what} must not contain a NUL character`);
  return node.value;
}

function commandOf(node: Node | null, name: string, findings: Findings): readonly string[] | null {
  if (!isSeq(node) || node.items.length === 0)
    return findings.add(
      node,
      `${name}.command must be a list of program and arguments, for example [python3, train.py]; no shell reads it`,
    );
  const words = node.items.map((item, index) =>
    textOf(isNode(item) ? item : null, `${name}.command[${index}]`, findings),
  );
  if (words[0] === '') return findings.add(node, `${name}.command[0] must name a program`);
  const complete = words.filter((word) => word !== null);
  return complete.length === words.length ? complete : null;
}

function environmentOf(node: Node | null, name: string, findings: Findings): Record<string, string> | null {
  if (!isMap(node))
    return findings.add(node, `${name}.env must be a map of variables, for example {MODE: fast}`);
  const result: Record<string, string> = {};
  for (const { key, keyNode, value } of entriesOf(node, findings)) {
    if (!variablePattern.test(key))
      findings.add(keyNode, `${name}.env: '${key}' is not a variable name (letters, digits and _)`);
    else if (key.startsWith('PARZEN_'))
      findings.add(keyNode, `${name}.env.${key}: names that begin with PARZEN_ are given by the worker`);
    else result[key] = textOf(value, `${name}.env.${key}`, findings) ?? '';
  }
  return result;
}

function directoryOf(node: Node | null, name: string, base: string, findings: Findings): string | null {
  const text = textOf(node, `${name}.cwd`, findings);
  if (text === '') return findings.add(node, `${name}.cwd must name a folder`);
  return text === null ? null : path.resolve(base, text);
}

/** One program; null when something is wrong with it, which `findings` then says. */
function definitionOf(
  { key: name, keyNode, value }: Entry,
  base: string,
  reserved: readonly string[],
  findings: Findings,
): CommandDefinition | null {
  if (!namePattern.test(name))
    return findings.add(keyNode, `'${name}' cannot name a trainer: letters, digits, '_', '.' and '-' only`);
  if (reserved.includes(name))
    return findings.add(keyNode, `'${name}' is built in; give the program another name`);
  if (!isMap(value))
    return findings.add(keyNode, `${name} must be a map with command, and optionally cwd and env`);
  const entries = entriesOf(value, findings);
  for (const { key, keyNode: node } of entries)
    if (!knownKeys.includes(key))
      findings.add(node, `${name}.${key} is unknown; known are ${knownKeys.join(', ')}`);
  const find = (key: string): Entry | undefined => entries.find((entry) => entry.key === key);
  const [command, cwd, env] = ['command', 'cwd', 'env'].map(find);
  if (command === undefined) return findings.add(keyNode, `${name} has no command`);
  const words = commandOf(command.value, name, findings);
  const directory = cwd === undefined ? base : directoryOf(cwd.value, name, base, findings);
  const variables = env === undefined ? {} : environmentOf(env.value, name, findings);
  if (words === null || directory === null || variables === null) return null;
  return { name, command: words, cwd: directory, env: variables };
}

/**
 * Reads the text of a trainers file: a map from name to `{command: [program, argument…], cwd?, env?}`. `cwd` is relative to
 * `base`, the file's folder, which is also the default. `reserved` are the names of built-in trainers.
 */
export function parseCommands(
  text: string,
  options: { readonly file: string; readonly base: string; readonly reserved: readonly string[] },
): ParsedCommands {
  const lines = new LineCounter();
  const findings = new Findings(options.file, lines);
  const document = parseDocument(text, {
    lineCounter: lines,
    uniqueKeys: true,
    strict: true,
    prettyErrors: false,
  });
  for (const error of document.errors)
    findings.problems.push(`${options.file}:${lines.linePos(error.pos[0]).line}: ${error.message}`);
  if (findings.problems.length > 0) return { ok: false, problems: findings.problems };
  const root = document.contents;
  if (!isMap(root)) {
    findings.add(
      root,
      'must be a map from trainer names to programs, for example my-net: {command: [python3, train.py]}',
    );
    return { ok: false, problems: findings.problems };
  }
  const entries = entriesOf(root, findings);
  if (entries.length === 0) findings.add(root, 'names no program');
  const definitions = entries.map((entry) => definitionOf(entry, options.base, options.reserved, findings));
  if (findings.problems.length > 0) return { ok: false, problems: findings.problems };
  const complete = definitions.filter((definition) => definition !== null);
  return { ok: true, commands: new Map(complete.map((definition) => [definition.name, definition])) };
}
