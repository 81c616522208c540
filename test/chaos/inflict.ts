/** Does to a running cluster what the plan says. */
import { setTimeout as sleep } from 'node:timers/promises';
import { signal } from '../helpers/postgres-server.js';
import type { TcpProxy } from '../helpers/tcp-proxy.js';
import type { ChaosCluster } from './cluster.js';
import type { People } from './people.js';
import type { Fault, LinkHarm, ProcessHarm } from './plan.js';
import { pause, type Supervised } from './supervised.js';

export interface Inflicting {
  readonly cluster: ChaosCluster;
  readonly people: People;
  /** Ends what people do when the faults end. */
  readonly over: AbortSignal;
  /** How many faults of each kind were inflicted. */
  readonly counts: Map<string, number>;
}

/** One fault, from its beginning to its end. Never rejects. */
export async function inflict(fault: Fault, { cluster, people, over, counts }: Inflicting): Promise<void> {
  const name =
    'harm' in fault
      ? `${fault.kind} ${fault.harm}`
      : fault.kind === 'postgres'
        ? `postgres kill ${fault.whom}`
        : fault.kind;
  counts.set(name, (counts.get(name) ?? 0) + 1);
  switch (fault.kind) {
    case 'worker':
      return hurt(cluster.workers[fault.index], fault);
    case 'coordinator':
      return hurt(cluster.coordinators[fault.index], fault);
    case 'trainer': {
      const [pid] = cluster.workers[fault.index]?.children() ?? [];
      return pid === undefined ? undefined : hurtProcess(pid, fault);
    }
    case 'backend': {
      const pids = await cluster.postgres.backends();
      const pid = pids[fault.index % pids.length];
      return pid === undefined ? undefined : hurtProcess(pid, fault);
    }
    case 'background': {
      const clients = new Set(await cluster.postgres.backends());
      const [, ...children] = cluster.postgres.pids();
      const background = children.filter((pid) => !clients.has(pid));
      const pid = background[fault.index % background.length];
      return pid === undefined ? undefined : hurtProcess(pid, fault);
    }
    case 'postgres':
      await cluster.postgres.kill(fault.whom);
      await sleep(fault.durationMs);
      return cluster.postgres.start();
    case 'worker-link':
      return hurtLink(cluster.workerLinks[fault.index], fault);
    case 'database-link':
      return hurtLink(cluster.databaseLinks[fault.index], fault);
    case 'pause-study':
      return people.pauseOne(fault.durationMs, over);
  }
}

interface Harming<Harm> {
  readonly harm: Harm;
  readonly durationMs: number;
}

async function hurt(
  victim: Supervised | undefined,
  { harm, durationMs }: Harming<ProcessHarm>,
): Promise<void> {
  if (victim?.pid === undefined) return;
  if (harm === 'pause') await pause(victim.pid, durationMs);
  else victim.kill(harm === 'kill' ? 'SIGKILL' : 'SIGTERM');
}

async function hurtProcess(pid: number, { harm, durationMs }: Harming<ProcessHarm>): Promise<void> {
  if (harm === 'pause') await pause(pid, durationMs);
  else signal(pid, harm === 'kill' ? 'SIGKILL' : 'SIGTERM');
}

async function hurtLink(
  link: TcpProxy | undefined,
  { harm, durationMs, delayMs }: Harming<LinkHarm> & { readonly delayMs: number },
): Promise<void> {
  if (harm === 'cut') {
    link?.cut();
    return;
  }
  if (harm === 'lose-commit' || harm === 'lose-answer') {
    link?.meet((piece) => (piece.includes('commit\0') ? (harm === 'lose-commit' ? 'cut' : 'deaf') : 'pass'));
    return;
  }
  link?.set(harm, delayMs);
  if (harm === 'refuse') link?.cut();
  await sleep(durationMs);
  link?.set('pass');
}
