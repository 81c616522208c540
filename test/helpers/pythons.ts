/** The Pythons on which Optuna is tried: named in PARZEN_PEER_PYTHONS (paths separated by colons), else `python3`. */
import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

export interface OptunaPython {
  readonly path: string;
  readonly modules: readonly string[];
}

const wanted = ['optuna', 'pandas', 'psycopg2', 'psycopg', 'optuna_dashboard', 'sklearn'];

const findModules = `
import importlib.util, json
print(json.dumps([name for name in ${JSON.stringify(wanted)} if importlib.util.find_spec(name)]))`;

/** Those with Optuna, pandas, scikit-learn and a driver for PostgreSQL. */
export function optunaPythons(): readonly OptunaPython[] {
  return (process.env['PARZEN_PEER_PYTHONS'] ?? 'python3').split(':').flatMap((path) => {
    const { status, stdout } = spawnSync(path, ['-c', findModules], { encoding: 'utf8' });
    const modules = status === 0 ? (JSON.parse(stdout) as readonly string[]) : [];
    const has = (name: string) => modules.includes(name);
    const usable = has('optuna') && has('pandas') && has('sklearn') && (has('psycopg2') || has('psycopg'));
    return usable ? [{ path, modules }] : [];
  });
}

/** Runs a script and answers what it printed; fails with what it said when it fails. */
export async function runPython(python: OptunaPython, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(python.path, [...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    timeout: 120_000,
  });
  return stdout;
}
