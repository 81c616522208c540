/** Every variable and every flag that images, compose files and manifests set exists in the programs as they are. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { Workplace } from '../helpers/cli.js';
import { everything, find, projectRoot, workloads } from './manifests.js';
import { containersOf, podSpecOf } from './pod-security.js';
import { pendingVariables } from './pending.js';

type Program = 'coordinator' | 'worker';

/** Variables that are read without an option. */
const withoutOption: Readonly<Record<Program, readonly string[]>> = {
  coordinator: ['PARZEN_REVISION'],
  worker: ['PARZEN_CACHE', 'PARZEN_HOST', 'PARZEN_REVISION'],
};

let work: Workplace;
const help = new Map<string, Promise<string>>();
const helpOf = (program: Program, command: string): Promise<string> => {
  const key = `${program} ${command}`;
  const known = help.get(key);
  if (known !== undefined) return known;
  const asked = work.run(program, [...command.split(' '), '--help']).then(({ code, stdout }) => {
    if (code !== 0) throw new Error(`${key} --help ended with ${String(code)}`);
    return stdout.replace(/\s+/g, ' ');
  });
  help.set(key, asked);
  return asked;
};
beforeAll(() => {
  work = new Workplace();
});
afterAll(() => work.remove());

/** The variables of a command that its programs do not read. */
async function unknownTo(
  program: Program,
  command: string,
  variables: readonly string[],
): Promise<readonly string[]> {
  const text = await helpOf(program, command);
  const known = [...text.matchAll(/\(?env: (PARZEN_\w+)\)/g)].map(([, name]) => name!);
  expect(known.length).toBeGreaterThan(3);
  return variables.filter(
    (name) =>
      name.startsWith('PARZEN_') &&
      ![...known, ...withoutOption[program], ...pendingVariables[program]].includes(name),
  );
}

describe.each(everything)('%s', (_name, read) => {
  it('sets only variables and flags that its programs know', async () => {
    const manifests = read();
    for (const workload of workloads(manifests))
      for (const container of containersOf(podSpecOf(workload))) {
        const [program] = (container['command'] ?? []) as string[];
        if (program !== 'coordinator' && program !== 'worker') continue;
        const args = container['args'] as string[];
        const command = args.slice(0, args.findIndex((each) => each.startsWith('-')) >>> 0).join(' ');
        const maps = ((container['envFrom'] ?? []) as { configMapRef: { name: string } }[]).flatMap(
          ({ configMapRef }) =>
            Object.keys(find(manifests, 'ConfigMap', configMapRef.name)!['data'] as object),
        );
        const own = ((container['env'] ?? []) as { name: string }[]).map(({ name }) => name);
        expect(await unknownTo(program, command, [...maps, ...own])).toEqual([]);
        const text = await helpOf(program, command);
        for (const flag of args.filter((each) => each.startsWith('--'))) expect(text).toContain(`${flag} `);
      }
  });
});

it.each(['compose.yaml', 'compose.tls.yaml'])(
  '%s sets only variables that its programs know',
  async (file) => {
    const { services } = parseDocument(readFileSync(path.join(projectRoot, 'deploy', file), 'utf8'), {
      merge: true,
    }).toJS() as { services: Record<string, { environment?: Record<string, string> }> };
    for (const [name, { environment = {} }] of Object.entries(services)) {
      const program = /^(coordinator|worker)/.exec(name)?.[1] as Program | undefined;
      if (program !== undefined)
        expect(await unknownTo(program, 'start', Object.keys(environment))).toEqual([]);
    }
  },
);

it('the images set only variables that their programs know', async () => {
  const text = readFileSync(path.join(projectRoot, 'deploy/Dockerfile'), 'utf8');
  for (const stage of text.split(/^FROM /m).slice(1)) {
    const program = /ENTRYPOINT .*\/bin\/(coordinator|worker)\.js/.exec(stage)?.[1] as Program | undefined;
    if (program === undefined) continue;
    const variables = [...stage.matchAll(/(PARZEN_\w+)=/g)].map(([, name]) => name!);
    expect(variables.length).toBeGreaterThan(0);
    expect(await unknownTo(program, 'start', variables)).toEqual([]);
  }
});
