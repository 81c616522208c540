/** This machine cannot run trials: nowhere to keep data sets, no data set, no trainer. The message says why. */
export class WorkerUnfit extends Error {
  override readonly name = 'WorkerUnfit';
}
