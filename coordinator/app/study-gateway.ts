import type { Role, TokenView } from '../../shared/core/access.js';
import { requestId } from '../../shared/core/ids.js';
import type { ArtifactName } from '../../shared/core/study/artifact.js';
import type { Params } from '../../shared/core/space/parameter.js';
import type { DatasetView, StudyView, Verification } from '../../shared/core/study/study.js';
import type { StoredArtifact } from '../storage/port.js';
import { artifactOf } from './artifacts.js';
import type { AppContext } from './context.js';
import { createStudy } from './create-study.js';
import { requireDataset, storeDataset } from './datasets.js';
import { enqueueTrial } from './enqueue-trial.js';
import { deleteStudy, pauseStudy, resumeStudy, stopStudy } from './steer-study.js';
import { AppError } from './errors.js';
import {
  listStudies,
  listTrials,
  viewStudy,
  type TrialPageRequest,
  type TrialPageView,
} from './study-view.js';
import { createToken, revokeToken, type CreatedToken } from './tokens.js';
import { verifyStudy } from './verify-study.js';
import type { StudyFileParser } from './study-file.js';

export interface CreateRequest {
  /** The study file, YAML. */
  readonly definitionText: string;
  /** Budget that overrides the file's; null for the file's. */
  readonly trials: number | null;
  /** Data set by name or hash; null for the one that the file names. */
  readonly dataset: string | null;
}

/**
 * What people and their tools can do. Two implementations: in this process on an open store (`localGateway`), or a
 * running coordinator over gRPC. Refusals are `AppError`s in both.
 */
export interface StudyGateway {
  create(request: CreateRequest): Promise<{ readonly study: StudyView; readonly created: boolean }>;
  get(name: string): Promise<StudyView>;
  list(): Promise<readonly StudyView[]>;
  trials(name: string, page: TrialPageRequest): Promise<TrialPageView>;
  /** The file that a trial left. */
  artifact(
    name: string,
    which: { readonly number: number; readonly name: ArtifactName },
  ): Promise<StoredArtifact>;
  enqueue(name: string, request: { readonly requestId: string; readonly params: Params }): Promise<number>;
  pause(name: string): Promise<StudyView>;
  resume(name: string): Promise<StudyView>;
  stop(name: string): Promise<StudyView>;
  delete(name: string): Promise<void>;
  verify(name: string): Promise<Verification>;
  datasets(): Promise<readonly DatasetView[]>;
  /** Stores canonical bytes under the data set's hash, which is checked. */
  putDataset(dataset: DatasetView, bytes: Uint8Array): Promise<DatasetView>;
  createToken(name: string, role: Role): Promise<CreatedToken>;
  tokens(): Promise<readonly TokenView[]>;
  revokeToken(name: string): Promise<void>;
}

export function localGateway(context: AppContext, parseStudyFile: StudyFileParser): StudyGateway {
  const steered = (steer: (context: AppContext, name: string) => Promise<void>) => async (name: string) => {
    await steer(context, name);
    return viewStudy(context, name);
  };
  return {
    create: (request) => create(context, parseStudyFile, request),
    get: (name) => viewStudy(context, name),
    list: () => listStudies(context),
    trials: (name, page) => listTrials(context, name, page),
    artifact: (name, which) => artifactOf(context, name, which),
    enqueue: (name, { requestId: id, params }) =>
      enqueueTrial(context, name, { requestId: requestId(id), params }),
    pause: steered(pauseStudy),
    resume: steered(resumeStudy),
    stop: steered(stopStudy),
    delete: (name) => deleteStudy(context, name),
    verify: (name) => verifyStudy(context, name),
    datasets: () => context.storage.listDatasets(),
    putDataset: (dataset, bytes) => storeDataset(context, dataset, bytes),
    createToken: (name, role) => createToken(context, name, role),
    tokens: () => context.storage.listTokens(),
    revokeToken: (name) => revokeToken(context, name),
  };
}

async function create(
  context: AppContext,
  parseStudyFile: StudyFileParser,
  { definitionText, trials, dataset }: CreateRequest,
): Promise<{ study: StudyView; created: boolean }> {
  const parsed = parseStudyFile(definitionText);
  if (parsed.kind === 'problems') throw new AppError('invalid-argument', parsed.text);
  const { definition } = parsed;
  // A study keeps the data it began with, whatever its data set's name stands for by now.
  const existing = dataset === null ? await context.storage.findStudy(definition.name) : null;
  const pinned = existing?.dataset ?? (await requireDataset(context, definition, dataset));
  const { created } = await createStudy(context, { definition, definitionText, trials, dataset: pinned });
  return { study: await viewStudy(context, definition.name), created };
}
