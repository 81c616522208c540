/** Bounds of the coordinator, with their reasons. */

/** Studies with metrics of their own, the newest; each costs about 70 series. */
export const metricsStudiesMax = 100;
