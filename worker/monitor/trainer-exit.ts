import type { AttemptResult } from '../trainers/child-trainer.js';

/** Why a trainer process was ended or has ended by itself. */
export const trainerExits = ['oom', 'device_lost', 'signal', 'error', 'timeout', 'cancel'] as const;
export type TrainerExit = (typeof trainerExits)[number];

const deviceLost = /lost its device|device (is )?lost|GPU is lost|fallen off the bus|device-side assert|Xid/i;
const byMessage: readonly (readonly [RegExp, TrainerExit])[] = [
  [deviceLost, 'device_lost'],
  [/^the trainer process ended with signal/, 'signal'],
];

/** How an attempt ended its trainer's process; null when the process lives on. */
export function trainerExit(result: AttemptResult): TrainerExit | null {
  switch (result.kind) {
    case 'done':
      return null;
    case 'stopped':
      return 'cancel';
    case 'unfit':
      return 'error';
    case 'failed':
      if (result.reason === 'oom') return 'oom';
      if (result.reason === 'timeout') return 'timeout';
      return byMessage.find(([pattern]) => pattern.test(result.message))?.[1] ?? 'error';
  }
}
