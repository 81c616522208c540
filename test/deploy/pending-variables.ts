/** Variables that deploy/ and k8s/ set ahead of the programs: a release must have none. */
export const pendingVariables: Readonly<Record<'coordinator' | 'worker', readonly string[]>> = {
  coordinator: ['PARZEN_METRICS', 'PARZEN_INSECURE_METRICS'],
  worker: ['PARZEN_HEALTH', 'PARZEN_METRICS', 'PARZEN_INSECURE_METRICS'],
};
