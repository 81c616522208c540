import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { leaseToken, studyId, trialNumber } from '../../shared/core/ids.js';
import type { StoredArtifact } from '../../coordinator/storage/port.js';
import { created, finish, leased, type CurrentStorage } from './storage-fixtures.js';

const artifact = (content: Uint8Array): StoredArtifact => ({
  ...{ name: 'forecasts', layout: 'some-layout-v1', content: Uint8Array.from(content) },
  hash: createHash('sha256').update(content).digest('hex'),
});

export function describeArtifacts(storage: CurrentStorage): void {
  describe('artifacts', () => {
    const put = (token: string, stored: StoredArtifact) => storage().putArtifact(leaseToken(token), stored);

    it('keeps the latest of a name while the lease holds, and still after the trial has finished', async () => {
      const study = await created(storage());
      const trial = await leased(storage(), study.id, 'a');
      const other = await leased(storage(), study.id, 'b');
      const find = (number = trial.number) => storage().findArtifact(study.id, number, 'forecasts');
      // Comparing millions of elements one by one takes seconds.
      const isStored = async ({ content, ...wanted }: StoredArtifact): Promise<boolean> => {
        const { content: found, ...rest } = (await find())!;
        expect(rest).toEqual(wanted);
        return Buffer.from(found).equals(content);
      };
      expect(await find()).toBeNull();
      expect(await put('a', artifact(randomBytes(10)))).toBe('ok');
      const latest = artifact(randomBytes(2_000_000));
      expect(await put('a', latest)).toBe('ok');
      expect(await isStored(latest)).toBe(true);
      expect(await find(other.number)).toBeNull();
      expect(await put('b', artifact(Uint8Array.of()))).toBe('ok');
      expect(await find(other.number)).toEqual(artifact(Uint8Array.of()));
      await finish(storage(), study.id, trial.number);
      expect(await isStored(latest)).toBe(true);
      expect(await storage().findArtifact(studyId(study.id + 1), trial.number, 'forecasts')).toBeNull();
    });

    it('keeps nothing under a lease that is gone', async () => {
      const study = await created(storage());
      const trial = await leased(storage(), study.id, 'a');
      const first = artifact(Uint8Array.of(1));
      await put('a', first);
      await finish(storage(), study.id, trial.number);
      expect(await put('a', artifact(Uint8Array.of(2)))).toBe('lost');
      expect(await put('never', artifact(Uint8Array.of(3)))).toBe('lost');
      expect(await storage().findArtifact(study.id, trial.number, 'forecasts')).toEqual(first);
    });

    it('says when the trial is to end, and goes with its study', async () => {
      const study = await created(storage());
      const trial = await leased(storage(), study.id, 'a');
      await storage().inStudy(study.id, async (transaction) => {
        const stored = await transaction.trial(trialNumber(0));
        if (stored !== null) await transaction.updateTrial({ ...stored, cancelRequested: true });
      });
      expect(await put('a', artifact(Uint8Array.of(1)))).toBe('cancel');
      expect(await storage().findArtifact(study.id, trial.number, 'forecasts')).not.toBeNull();
      await storage().deleteStudy(study.id);
      expect(await storage().findArtifact(study.id, trial.number, 'forecasts')).toBeNull();
    });
  });
}
