import { assert } from '../../shared/core/assert.js';
import { bestTrials, topTrials } from '../../shared/core/study/ranking.js';
import type { Trial } from '../../shared/core/study/trial.js';
import { formatBestConfig } from '../../shared/core/study/best-config.js';
import { bestConfigOf } from './best-config.js';
import { trialsCsv } from './csv.js';
import type { ResultsStudy } from './results-study.js';
import { writeFiles, type OpenFile, type ResultFile } from './write-files.js';

const topCount = 10;

export interface WrittenResults {
  /** Names within the directory, in the order written. `best_config_….yaml` is missing while no trial is COMPLETE. */
  readonly files: readonly string[];
}

/**
 * Writes `trials.csv` (all trials by number), `top10.csv` (best first) and `best_config_<study>.yaml`; each file appears
 * whole or not at all. Rejects with `ResultsError` when the directory cannot be written or the disk is full.
 */
export async function writeResults(
  directory: string,
  study: ResultsStudy,
  trials: readonly Trial[],
  openFile?: OpenFile,
): Promise<WrittenResults> {
  const { name, objectives } = study.definition;
  assert(!/[/\\]/.test(name), `study name ${name} has no path separators`);
  const directions = objectives.map(({ direction }) => direction);
  const byNumber = [...trials].sort((a, b) => a.number - b.number);
  const complete = byNumber.filter(({ state }) => state === 'COMPLETE');
  const best = bestTrials(directions, complete);
  const files: ResultFile[] = [
    { name: 'trials.csv', pieces: trialsCsv(study, byNumber) },
    { name: 'top10.csv', pieces: trialsCsv(study, topTrials(directions, complete, topCount)) },
  ];
  const [first] = best;
  if (first !== undefined) {
    const front = best.map(({ number }) => number);
    files.push({
      name: `best_config_${name}.yaml`,
      pieces: [formatBestConfig(bestConfigOf(study, first, front))],
    });
  }
  await writeFiles(directory, files, openFile);
  return { files: files.map((file) => file.name) };
}
