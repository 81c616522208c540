import { studyId, type RequestId, type StudyId } from '../../../shared/core/ids.js';
import type { LeasePlace, WorkerRecord } from '../port.js';
import type { GroupWork } from '../study-groups.js';
import { StudyQueues } from '../study-queues.js';
import { MemoryDatasets } from './memory-datasets.js';
import { MemoryTokens } from './memory-tokens.js';
import { MemoryTransaction, type TakenIds } from './memory-transaction.js';
import type { StudyState } from './study-state.js';

/** What all handles on a store in memory share. */
export class MemoryDatabase {
  readonly studies = new Map<StudyId, StudyState>();
  readonly workers = new Map<string, WorkerRecord>();
  readonly datasets = new MemoryDatasets();
  readonly tokens = new MemoryTokens();
  #lastStudyId = 0;
  /** Stands for the lock on a study's row. */
  readonly queues = new StudyQueues();
  readonly nowMs: () => number;

  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
  }

  readonly taken: TakenIds = {
    token: (token) => this.find((study) => study.attempts.has(token)) !== null,
    request: (request) => this.findRequest(request),
  };

  findRequest(request: RequestId): LeasePlace | null {
    const study = this.find((each) => each.tokenByRequest.has(request));
    const token = study?.tokenByRequest.get(request);
    const attempt = token === undefined ? undefined : study?.attempts.get(token);
    if (study === null || attempt === undefined) return null;
    return { study: study.record.id, number: attempt.number, token: attempt.token };
  }

  runTransaction(id: StudyId, body: GroupWork['body']): Promise<boolean> {
    return this.queues.run(id, async () => {
      const study = this.studies.get(id);
      if (study === undefined) return false;
      const transaction = new MemoryTransaction(study, this.taken);
      try {
        await body(transaction);
        transaction.commit();
        return true;
      } finally {
        transaction.close();
      }
    });
  }

  mintStudyId(): StudyId {
    this.#lastStudyId += 1;
    return studyId(this.#lastStudyId);
  }

  /** The first study that `test` accepts. */
  find(test: (study: StudyState) => boolean): StudyState | null {
    for (const study of this.studies.values()) if (test(study)) return study;
    return null;
  }
}
