/** What linters cannot see: names of machines in the tree, and documents that speak of things that are not there. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '..');
const listed = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
});
const files =
  listed.status === 0
    ? listed.stdout.split('\n').filter((file) => file !== '' && existsSync(path.join(root, file)))
    : [];
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

describe.skipIf(files.length === 0)('the tree (needs git to list it)', () => {
  it('names no machine paths and no package registries', () => {
    // This very machine's folders, and what other people's look like.
    const machine = [`${root}/`, `${homedir()}/`];
    const forbidden = /\/(?:home|Users)\/\w+\/|registry\.npmjs|"resolved":/;
    const text = files.filter(
      (file) => /\.(ts|js|json|ya?ml|md|proto|sh)$|^\.ci\//.test(file) && file !== 'test/tidy.test.ts',
    );
    expect(text.length).toBeGreaterThan(50);
    const tells = (content: string): boolean =>
      forbidden.test(content) || machine.some((folder) => content.includes(folder));
    expect(text.filter((file) => tells(read(file)))).toEqual([]);
  });

  it('has no test that is silently left out or singled out', () => {
    const tests = files.filter((file) => file.endsWith('.test.ts') && file !== 'test/tidy.test.ts');
    expect(
      tests.filter((file) =>
        /\b(it|test|describe)\.(only|todo)\(|\b(it|test|describe)\.skip\(/.test(read(file)),
      ),
    ).toEqual([]);
  });

  it('has every file that its documents name', () => {
    for (const document of ['ARCHITECTURE.md', 'README.md', 'docs/decisions/original-defects.md']) {
      const named = [...read(document).matchAll(/`([\w./-]+\/[\w./-]*)`/g)].map(([, name]) => name!);
      const own = named.filter((name) => !/^(out|gen|parzen-data|\.\/)/.test(name) && !name.startsWith('./'));
      const missing = own.filter(
        (name) =>
          !existsSync(path.join(root, name)) &&
          // Inside a row of the folder table, names are relative to the row's folder.
          !files.some((file) => file.includes(`/${name}`)),
      );
      expect({ document, missing }).toEqual({ document, missing: [] });
    }
  });

  it('gives every dependency its line', () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Record<
      string,
      Record<string, string>
    >;
    const reasons = read('docs/decisions/dependencies.md');
    const unexplained = Object.keys({ ...dependencies, ...devDependencies }).filter(
      (name) =>
        !reasons.includes(name) &&
        !name.startsWith('@types/') &&
        name !== '@eslint/js' &&
        name !== 'eslint-import-resolver-typescript' &&
        name !== 'typescript',
    );
    expect(unexplained).toEqual([]);
  });

  it('has a study file behind every name that the README mentions', () => {
    const studies = readdirSync(path.join(root, 'studies')).map((file) => path.parse(file).name);
    const mentioned = [...read('README.md').matchAll(/--study ([\w-]+)/g)].map(([, name]) => name!);
    expect(mentioned.length).toBeGreaterThan(0);
    expect(mentioned.filter((name) => !studies.includes(name))).toEqual([]);
  });
});
