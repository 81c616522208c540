/** Trainers that every worker brings along; any other name is that of a command trainer. */
export const builtInTrainers = ['hermite', 'instant'] as const;
