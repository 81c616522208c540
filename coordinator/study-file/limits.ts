/** Bounds of a study file. They keep a wrong or hostile file from costing more than a moment. */
export const studyFileLimits = {
  /** The studies of this package have about 4 kB. */
  bytesMax: 1024 * 1024,
  /** Uses of YAML anchors; each may repeat a large part of the file. */
  aliasesMax: 100,
  /** Lists and maps within each other; a study file needs five, parts used with anchors included. */
  nestingMax: 40,
  /** As the YAML library's lexer counts; a file near `bytesMax` of parameter values has fewer. */
  tokensMax: 400_000,
  /** Mistakes reported; beyond that the file is of another kind. */
  problemsMax: 200,
  trialsMax: 10_000_000,
  parametersMax: 1000,
  choicesMax: 10_000,
  enqueueMax: 10_000,
  objectivesMax: 20,
  nameLengthMax: 100,
  /** Characters of a text value; long enough for any word or path. */
  textLengthMax: 1000,
  seedMax: 2 ** 32 - 1,
  retriesMax: 1000,
  /** Thirty days. */
  secondsMax: 30 * 86_400,
} as const;
