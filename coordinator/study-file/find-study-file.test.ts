import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findStudyFile, type SearchOptions } from './find-study-file.js';

let root = '';
let search: SearchOptions = {};
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'parzen-find-'));
  const cwd = path.join(root, 'here');
  const packageStudies = path.join(root, 'package', 'studies');
  search = { cwd, packageStudies };
  await mkdir(path.join(cwd, 'studies', 'folder.yaml'), { recursive: true });
  await mkdir(packageStudies, { recursive: true });
  await writeFile(path.join(cwd, 'studies', 'mine.yaml'), 'mine');
  await writeFile(path.join(cwd, 'studies', 'both.yml'), 'from here');
  await writeFile(path.join(cwd, 'other.yaml'), 'other');
  await writeFile(path.join(packageStudies, 'both.yaml'), 'from the package');
  await writeFile(path.join(packageStudies, 'v6-stage1.yaml'), 'stage 1');
  await writeFile(path.join(cwd, 'latin.yaml'), new Uint8Array([0x6e, 0xe4, 0x6d]));
  await writeFile(path.join(cwd, 'huge.yaml'), new Uint8Array(1024 * 1024 + 1));
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

const textOf = async (name: string): Promise<string> => {
  const found = await findStudyFile(name, search);
  return found.kind === 'found' ? found.text : found.message;
};

describe('findStudyFile', () => {
  it('looks for a name here first, then in the package', async () => {
    expect(await textOf('mine')).toBe('mine');
    expect(await textOf('both')).toBe('from here');
    expect(await textOf('v6-stage1')).toBe('stage 1');
  });

  it('takes a path as a path', async () => {
    expect(await textOf('other.yaml')).toBe('other');
    expect(await textOf('./studies/both.yml')).toBe('from here');
    expect(await textOf(path.join(root, 'package', 'studies', 'both.yaml'))).toBe('from the package');
    expect(await findStudyFile('other.yaml', search)).toMatchObject({
      path: path.join(root, 'here', 'other.yaml'),
    });
  });

  it('lists what there is when it finds nothing', async () => {
    expect(await textOf('v6-stage2')).toBe(
      `there is no study file v6-stage2.yaml in ${path.join(root, 'here', 'studies')} and ` +
        `${path.join(root, 'package', 'studies')}; did you mean v6-stage1? ` +
        'There are: both, folder, mine, v6-stage1. Or give the path of a file.',
    );
    const nothing = await findStudyFile('x', { cwd: root, packageStudies: path.join(root, 'none') });
    expect(nothing).toMatchObject({
      kind: 'problem',
      message: expect.stringContaining('give the path of one'),
    });
  });

  it('says what is wrong with a file', async () => {
    expect(await textOf('missing.yaml')).toContain('missing.yaml: no such file');
    expect(await textOf('other.yaml/x.yaml')).toContain('a part of the path is not a directory');
    expect(await textOf('folder')).toContain('is a directory; name a study file in it');
    expect(await textOf('latin.yaml')).toBe('latin.yaml: is not UTF-8 text; save it as such');
    expect(await textOf('huge.yaml')).toContain('has 1048577 bytes, at most 1048576 are read');
    expect(await textOf('/dev/null/../null.yaml')).toContain('null.yaml');
  });

  it('finds the studies of this package by itself', async () => {
    const found = await findStudyFile('quick', { cwd: root });
    expect(found).toMatchObject({ kind: 'found', text: expect.stringContaining('name: quick') });
  });
});
