/** What deploy/ and k8s/ count on and the rest of the project does not have yet: a release must have none of it. */

/** Variables of the programs. */
export const pendingVariables: Readonly<Record<'coordinator' | 'worker', readonly string[]>> = {
  coordinator: ['PARZEN_METRICS', 'PARZEN_INSECURE_METRICS'],
  worker: ['PARZEN_HEALTH', 'PARZEN_METRICS', 'PARZEN_INSECURE_METRICS'],
};

/** Folders that compose mounts. */
export const pendingFolders: readonly string[] = [
  './prometheus',
  './grafana/provisioning',
  './grafana/dashboards',
];
