/** A real Kubernetes API server with an etcd of its own on loopback, no nodes: it validates, defaults and admits. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { generateKeyPairSync } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../helpers/tcp-proxy.js';

/** The folder with `etcd`, `kube-apiserver` and `kubectl`, in the variable that Kubernetes' own envtest reads; null without. */
export const apiServerFolder: string | null = (() => {
  const folder = process.env['KUBEBUILDER_ASSETS'];
  if (folder === undefined || folder === '') return null;
  const missing = ['etcd', 'kube-apiserver', 'kubectl'].filter(
    (name) => !existsSync(path.join(folder, name)),
  );
  if (missing.length > 0) throw new Error(`KUBEBUILDER_ASSETS=${folder} has no ${missing.join(', ')}`);
  return folder;
})();

export interface Answer {
  readonly status: number | null;
  readonly stdout: string;
  /** Errors, and the server's warnings. */
  readonly stderr: string;
}

/** How long etcd and the API server may take to be ready. */
const startTimeoutMs = 90_000;

export class ApiServer {
  readonly #programs: string;
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'parzen-kubernetes-'));
  readonly #children: ChildProcess[] = [];

  constructor(programs: string) {
    this.#programs = programs;
  }

  /** Throws with the end of a program's log where it has ended, or the server is not ready in time. */
  async start(): Promise<void> {
    const [client, peer, port] = (await freePorts(3)) as [number, number, number];
    const etcd = `http://127.0.0.1:${client}`;
    this.#spawn('etcd', [
      ...[`--data-dir=${this.#at('etcd')}`, `--listen-peer-urls=http://127.0.0.1:${peer}`],
      ...[`--listen-client-urls=${etcd}`, `--advertise-client-urls=${etcd}`],
    ]);
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    writeFileSync(this.#at('accounts.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }));
    writeFileSync(this.#at('tokens.csv'), 'test,admin,admin,"system:masters"\n');
    writeFileSync(this.#at('kubeconfig'), kubeconfig(port));
    const account = ['key', 'signing-key'].map(
      (what) => `--service-account-${what}-file=${this.#at('accounts.key')}`,
    );
    this.#spawn('kube-apiserver', [
      ...[`--etcd-servers=${etcd}`, '--bind-address=127.0.0.1', `--secure-port=${port}`],
      ...[`--cert-dir=${this.#at('certificates')}`, `--token-auth-file=${this.#at('tokens.csv')}`],
      ...['--service-account-issuer=https://kubernetes.default.svc', ...account],
      ...['--authorization-mode=RBAC', '--service-cluster-ip-range=10.96.0.0/16'],
    ]);
    const deadline = Date.now() + startTimeoutMs;
    while (this.kubectl(['get', '--raw', '/readyz']).status !== 0) {
      const ended = this.#children.find((child) => child.exitCode !== null);
      if (ended !== undefined || Date.now() > deadline) {
        const program = path.basename(ended?.spawnfile ?? 'kube-apiserver');
        const log = readFileSync(this.#at(`${program}.log`), 'utf8');
        throw new Error(`no API server; ${program} said:\n${log.slice(-2_000)}`);
      }
      await sleep(300);
    }
  }

  kubectl(args: readonly string[], input = ''): Answer {
    return spawnSync(
      path.join(this.#programs, 'kubectl'),
      ['--kubeconfig', this.#at('kubeconfig'), ...args],
      { encoding: 'utf8', input, maxBuffer: 64 * 1024 * 1024 },
    );
  }

  /** Applies objects at the server; fields that it does not know are errors. */
  apply(objects: readonly unknown[], options: readonly string[] = []): Answer {
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
    return this.kubectl(['apply', '--server-side', '--validate=strict', ...options, '-f', '-'], list);
  }

  async stop(): Promise<void> {
    for (const child of this.#children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await gone;
    }
    rmSync(this.#folder, { recursive: true });
  }

  #at(name: string): string {
    return path.join(this.#folder, name);
  }

  #spawn(program: string, args: readonly string[]): void {
    const log = openSync(this.#at(`${program}.log`), 'a');
    this.#children.push(spawn(path.join(this.#programs, program), args, { stdio: ['ignore', log, log] }));
    closeSync(log);
  }
}

const kubeconfig = (port: number): string =>
  JSON.stringify({
    ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'test' },
    clusters: [
      { name: 'test', cluster: { server: `https://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } },
    ],
    users: [{ name: 'admin', user: { token: 'test' } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
  });
