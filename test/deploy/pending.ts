/** What deploy/ and k8s/ count on and the rest of the project does not have yet: a release must have none of it. */

/** Variables of the programs. */
export const pendingVariables: Readonly<Record<'coordinator' | 'worker', readonly string[]>> = {
  coordinator: [],
  worker: [],
};

/** Folders that compose mounts. */
export const pendingFolders: readonly string[] = [];
