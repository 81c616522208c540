import { statSync } from 'node:fs';
import { candleColumns } from '../../../shared/core/market/candles.js';
import { parseEvaluation } from '../../../shared/core/trainers/evaluation-settings.js';
import { parseHermiteParams, type HermiteParams } from '../../../shared/core/trainers/hermite-settings.js';
import { defaultWindows } from '../../market/features.js';
import { outOfMemoryForeseen } from '../../gpu/out-of-memory.js';
import type { TrialJob } from '../port.js';
import { estimateMemory, totalMemory, type MemoryEstimate } from './estimate-memory.js';

/** Memory that one trial may use, bytes. */
export interface TrialMemory {
  readonly hostMemoryBytes: number;
  /** Null without a GPU, or where its memory is unknown. */
  readonly gpuMemoryBytes: number | null;
}

/** Whether a runtime keeps the model in a GPU's memory. */
export const usesGpu = (runtime: string): boolean => runtime === 'webgpu' || runtime === 'tensorflow-gpu';
/** Forecasts are made in batches of this many rows (network.ts). */
const forecastRows = 512;
const weekdays = 7;

/** Context columns of the features: rolling means, deviations, autocorrelation, drawdown, exponential means, weekday. */
export const contextWidth =
  defaultWindows.momentumWindows.length +
  defaultWindows.volatilityWindows.length +
  2 +
  defaultWindows.emaSpans.length +
  weekdays;

/** Rows of a candle file by its size; its header is small against a row's share. */
function candlesIn(dataPath: string | null): number {
  const bytes = dataPath === null ? 0 : (statSync(dataPath, { throwIfNoEntry: false })?.size ?? 0);
  return Math.floor(bytes / (candleColumns.length * Float64Array.BYTES_PER_ELEMENT));
}

const estimateOf = (params: HermiteParams, candles: number): MemoryEstimate =>
  estimateMemory({
    shape: {
      window: params.featureWindow,
      context: contextWidth,
      lstmHidden: params.useLstm ? params.lstmHidden : null,
      hidden: params.hermiteHiddenDim,
      degree: params.hermiteDegree,
      version: params.hermiteVersion,
      mapsA: params.hermiteMapsA,
      mapsB: params.hermiteMapsB,
    },
    batchRows: Math.min(Math.max(params.batchSize, forecastRows), Math.max(candles, 1)),
    candles,
  });

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;

/** What the largest part of an estimate depends on. */
const remedies: Readonly<Record<keyof MemoryEstimate, string>> = {
  base: 'give the worker more memory or fewer slots',
  data: 'give the study fewer bars',
  lstm: 'a smaller batch_size, feature_window or lstm_hidden needs less',
  block: 'a smaller batch_size, hermite_hidden_dim or number of maps needs less',
  dense: 'a smaller batch_size or hermite_hidden_dim needs less',
  tensors: 'a smaller batch_size or feature_window needs less',
};

function largestPart(estimate: MemoryEstimate): keyof MemoryEstimate {
  const { base, data, lstm, block, dense, tensors } = estimate;
  const parts = Object.entries({ base, data, lstm, block, dense, tensors }) as [
    keyof MemoryEstimate,
    number,
  ][];
  return parts.reduce((best, part) => (part[1] > best[1] ? part : best))[0];
}

/**
 * Why a job cannot fit into the memory that one trial may use, or null when it may. Parameters that the trainer will refuse
 * anyway are left to it.
 */
export function hermitePreflight(job: TrialJob, runtime: string, memory: TrialMemory): string | null {
  const evaluation = parseEvaluation(job.evaluation);
  const params = evaluation.ok ? parseHermiteParams(job.params, evaluation.evaluation) : null;
  if (params?.ok !== true) return null;
  const estimate = estimateOf(params.params, candlesIn(job.dataPath));
  const onGpu = usesGpu(runtime) && memory.gpuMemoryBytes !== null;
  const available = onGpu ? memory.gpuMemoryBytes : memory.hostMemoryBytes;
  // On a GPU the candles and the process itself stay in the machine's memory.
  const needed = totalMemory(estimate) - (onGpu ? estimate.base + estimate.data : 0);
  if (needed <= available) return null;
  const part = largestPart(onGpu ? { ...estimate, base: 0, data: 0 } : estimate);
  const where = onGpu ? 'on this GPU' : 'here';
  return (
    `${outOfMemoryForeseen}: estimated ${gibibytes(needed)}, but a trial may use ${gibibytes(available)} ${where}; ` +
    `${gibibytes(estimate[part])} of it is for '${part}': ${remedies[part]}`
  );
}
