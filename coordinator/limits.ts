/** Bounds of the coordinator, with their reasons. */

/** Studies with metrics of their own, the newest; each costs about 70 series. */
export const metricsStudiesMax = 100;

/** Candidates per suggestion at most, in a study file and in `coordinator suggest`. */
export const eiCandidatesMax = 100_000;
