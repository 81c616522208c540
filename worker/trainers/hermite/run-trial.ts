/**
 * The Hermite trainer: from a trial's parameters and a file of candles to its metrics. One fold after the other is trained
 * and judged; after each, the figures so far are reported, and the study may stop the trial.
 */
import { readFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { CandleCodecError, decodeCandles } from '../../../shared/core/market/candle-codec.js';
import type { Candles } from '../../../shared/core/market/candles.js';
import { encodeForecasts, forecastLayout } from '../../../shared/core/market/forecast-codec.js';
import type { Artifact } from '../../../shared/core/study/artifact.js';
import type { Metrics } from '../../../shared/core/study/trial.js';
import {
  parseEvaluation,
  type EvaluationSettings,
} from '../../../shared/core/trainers/evaluation-settings.js';
import { parseHermiteParams, type HermiteParams } from '../../../shared/core/trainers/hermite-settings.js';
import type { SettingProblem } from '../../../shared/core/trainers/setting-schema.js';
import { aggregateTrial, failureMetrics, foldProgress } from '../../market/aggregate-trial.js';
import type { FoldEvaluation } from '../../market/evaluate-fold.js';
import { forecastTable } from '../../market/forecast-table.js';
import { prepareTrialData, type TrialData } from '../../market/prepare-trial-data.js';
import {
  TrialFailed,
  TrialStopped,
  type Trainer,
  type TrialDone,
  type TrialJob,
  type TrialPhase,
} from '../port.js';
import type { Runtime } from '../runtime/runtime.js';
import { runFold, type JudgedFold } from './run-fold.js';

export interface HermiteTrainerOptions {
  readonly runtime: Runtime;
  /** True once the running trial should stop; asked between optimiser steps. */
  readonly stopRequested: () => boolean;
}

/** What was forecast for the test rows, to be left with the trial; nothing where the study does not want it. */
function forecastsOf(
  folds: readonly FoldEvaluation[],
  { settings, data }: { readonly settings: TrialSettings; readonly data: TrialData },
): readonly Artifact[] {
  const { forecasts, horizon } = settings.evaluation;
  if (forecasts === 'drop') return [];
  const content = encodeForecasts(forecastTable(folds, { horizon, secondsPerStep: data.secondsPerStep }));
  return [{ name: 'forecasts', layout: forecastLayout, content }];
}

/** A trial's result. */
type Judged = Pick<TrialDone, 'metrics' | 'artifacts'>;

interface TrialSettings {
  readonly evaluation: EvaluationSettings;
  readonly params: HermiteParams;
}

const listed = (section: string, problems: readonly SettingProblem[]): string =>
  problems.map(({ key, message }) => `${section}.${key}: ${message}`).join('; ');

/** Throws `TrialFailed` (error) with every mistake in the evaluation section, or else in the parameters. */
function settingsOf(job: TrialJob): TrialSettings {
  const evaluation = parseEvaluation(job.evaluation);
  if (!evaluation.ok) throw new TrialFailed('error', listed('evaluation', evaluation.problems));
  const params = parseHermiteParams(job.params, evaluation.evaluation);
  if (!params.ok) throw new TrialFailed('error', listed('parameter', params.problems));
  return { evaluation: evaluation.evaluation, params: params.params };
}

async function candlesOf(job: TrialJob): Promise<Candles> {
  if (job.dataPath === null) {
    throw new TrialFailed(
      'error',
      'the hermite trainer needs candles: give the study a data set (data.dataset)',
    );
  }
  try {
    return decodeCandles(await readFile(job.dataPath));
  } catch (error) {
    if (!(error instanceof CandleCodecError)) throw error;
    throw new TrialFailed('error', `data set ${job.dataPath}: ${error.message}`, { cause: error });
  }
}

function trialData(candles: Candles, { params, evaluation }: TrialSettings): TrialData {
  const prepared = prepareTrialData(candles, params.featureWindow, evaluation);
  if (prepared.kind === 'refused') throw new TrialFailed('infeasible', prepared.message);
  return prepared.data;
}

const total = (folds: readonly JudgedFold[], figure: (fold: JudgedFold) => number): number =>
  folds.reduce((sum, fold) => sum + figure(fold), 0);

/** What the training itself cost, beside the figures of the evaluation. */
const effort = (folds: readonly JudgedFold[], startedAtMs: number): Metrics => ({
  optimiser_steps: total(folds, ({ steps }) => steps),
  diverged_folds: total(folds, ({ diverged }) => (diverged ? 1 : 0)),
  seconds: (performance.now() - startedAtMs) / 1000,
});

/** Means over the folds so far, NaN where some fold leaves a figure undefined. */
function progress(folds: readonly JudgedFold[], startedAtMs: number): Metrics {
  const records = folds.map(({ evaluation }) => foldProgress(evaluation));
  const names = Object.keys(records[0] ?? {});
  const means = names.map((name): [string, number] => [
    name,
    records.reduce((sum, record) => sum + (record[name] ?? NaN), 0) / records.length,
  ]);
  return { ...Object.fromEntries(means), ...effort(folds, startedAtMs) };
}

/** Turns what the runtime throws into a classified failure; everything else passes unchanged. */
function classified(runtime: Runtime, error: unknown, phase: TrialPhase): unknown {
  if (error instanceof TrialFailed || error instanceof TrialStopped) return error;
  const text = error instanceof Error ? error.message : String(error);
  switch (runtime.classify(error)) {
    case 'oom':
      return new TrialFailed('oom', `out of memory on runtime ${runtime.name}: ${text}`, {
        cause: error,
        phase,
      });
    case 'corrupt':
      return new TrialFailed(
        'oom',
        `heap of runtime ${runtime.name} damaged, probably out of memory: ${text}`,
        { cause: error, phase },
      );
    case 'lost':
      return new TrialFailed('error', `runtime ${runtime.name} lost its device: ${text}`, {
        cause: error,
        phase,
      });
    case 'other':
      return error;
  }
}

/**
 * What really happened where `error` was thrown. A device complains late, and what its wrong numbers look like meanwhile is a model
 * that diverges; so it is asked before that is believed, and its complaint comes first. What the runtime itself has thrown stands.
 */
async function afterAskingDevice(runtime: Runtime, error: unknown): Promise<unknown> {
  if (error instanceof TrialStopped || runtime.classify(error) !== 'other') return error;
  try {
    await runtime.flushErrors();
  } catch (complaint) {
    return complaint;
  }
  if (runtime.healthy()) return error;
  return new TrialFailed(
    'error',
    `the device of runtime ${runtime.name} has failed; nothing it computed counts`,
  );
}

/** A trainer on the given runtime, for one trial at a time. */
export function createHermiteTrainer({ runtime, stopRequested }: HermiteTrainerOptions): Trainer {
  let phase: TrialPhase = 'load';
  const enter = (next: TrialPhase): void => {
    phase = next;
  };

  /** Lets messages of the worker arrive, and ends the trial when one asked for it. */
  const pause = async (): Promise<void> => {
    await setImmediate();
    if (stopRequested()) throw new TrialStopped('the study asked for the trial to stop');
  };

  const evaluate = async (
    job: TrialJob,
    settings: TrialSettings,
    report: Parameters<Trainer['run']>[1],
  ): Promise<Judged> => {
    const startedAtMs = performance.now();
    const data = trialData(await candlesOf(job), settings);
    const folds: JudgedFold[] = [];
    for (const [step, plan] of data.folds.entries()) {
      const foldJob = { runtime, params: settings.params, data, seed: job.seed, pause, enter };
      folds.push(await runFold(foldJob, plan));
      await runtime.flushErrors();
      const stop = await report(step, progress(folds, startedAtMs));
      if (stop) throw new TrialStopped(`the study stopped the trial after fold ${step}`);
    }
    const evaluations = folds.map(({ evaluation }) => evaluation);
    const outcome = aggregateTrial(evaluations, settings.evaluation, job.seed);
    if (outcome.kind === 'infeasible') throw new TrialFailed('infeasible', outcome.message);
    const metrics = { ...outcome.metrics, ...effort(folds, startedAtMs) };
    const artifacts = forecastsOf(evaluations, { settings, data });
    return artifacts.length === 0 ? { metrics } : { metrics, artifacts };
  };

  /** Under `failure_value: zero` a failure of the model is a result, as it was in the original (§18.11). */
  const judgedOrZero = async (job: TrialJob, report: Parameters<Trainer['run']>[1]): Promise<Judged> => {
    const settings = settingsOf(job);
    try {
      return await evaluate(job, settings, report);
    } catch (thrown) {
      const error = await afterAskingDevice(runtime, thrown);
      const zero = failureMetrics(settings.evaluation);
      const ofTheModel =
        error instanceof TrialFailed && (error.reason === 'diverged' || error.reason === 'infeasible');
      if (zero === null || !ofTheModel) throw error;
      return { metrics: zero };
    }
  };

  return {
    run: async (job, report): Promise<TrialDone> => {
      runtime.peak.reset();
      enter('load');
      try {
        return { ...(await judgedOrZero(job, report)), peakMemoryBytes: runtime.peak.read() };
      } catch (error) {
        throw classified(runtime, await afterAskingDevice(runtime, error), phase);
      } finally {
        runtime.dispose();
      }
    },
  };
}
