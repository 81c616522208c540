/** Files that a trial can leave beside its metrics. A name means one kind of content. */
export const artifactNames = ['forecasts'] as const;
export type ArtifactName = (typeof artifactNames)[number];

export interface Artifact {
  readonly name: ArtifactName;
  /** Layout of the content, e.g. `parzen-forecasts-v1`. */
  readonly layout: string;
  readonly content: Uint8Array;
}
