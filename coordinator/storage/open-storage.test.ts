import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../shared/platform/log.js';
import { StorageOpenError } from './errors.js';
import { holdsStore, openStorage } from './open-storage.js';

describe('openStorage', () => {
  let place: string;
  beforeEach(() => {
    place = mkdtempSync(path.join(tmpdir(), 'parzen-open-'));
  });
  afterEach(() => rmSync(place, { recursive: true, force: true }));

  const refusal = (location: string): Promise<unknown> =>
    openStorage(location, { log: silentLog, create: false }).catch((error: unknown) => error);

  it('leaves a folder without a store as it was, when it may not create one', async () => {
    const missing = path.join(place, 'typo');
    for (const folder of [missing, place]) {
      const error = await refusal(folder);
      expect(error).toBeInstanceOf(StorageOpenError);
      expect(String(error)).toContain(`there is no store in ${folder};`);
    }
    expect(existsSync(missing)).toBe(false);
    expect(readdirSync(place)).toEqual([]);
  });

  it('knows a store by its database directory', () => {
    mkdirSync(path.join(place, 'pg18.new'));
    expect(holdsStore(place)).toBe(false);
    mkdirSync(path.join(place, 'pg17'));
    expect(holdsStore(place)).toBe(true);
    // What is wrong with a file is for the opening to say.
    writeFileSync(path.join(place, 'file'), '');
    expect(holdsStore(path.join(place, 'file'))).toBe(true);
  });

  it('knows two kinds of URL, and repeats no password of another', async () => {
    const error = await openStorage('mysql://me:secret@host/db', { log: silentLog }).catch(String);
    expect(error).toBe(
      'StorageOpenError: there is no storage of kind mysql://; give postgres://USER@HOST/DATABASE or a folder',
    );
    expect(readdirSync(place)).toEqual([]);
  });
});
