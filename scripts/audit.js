// Known weaknesses of what a release brings along: `npm audit` of the production dependencies. Ends with 1 for those that are high or
// critical, and with 0 where the registry cannot be asked (no network, a mirror without advisories): it then says what was skipped.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

/** A registry that does not answer must not hold up a build for long, ms. */
const patienceMs = 60_000;

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const { stdout, error } = spawnSync('npm', ['audit', '--omit=dev', '--json', '--fetch-retries=0'], {
  cwd: root,
  encoding: 'utf8',
  timeout: patienceMs,
  shell: process.platform === 'win32',
});

/** What npm printed, as an object; an empty one when it is no JSON. */
function report() {
  try {
    return JSON.parse(stdout ?? '');
  } catch {
    return {};
  }
}

const { metadata, vulnerabilities, message } = report();
const counts = metadata?.vulnerabilities;
if (counts === undefined) {
  const reason = message?.split(' - ')[0] ?? error?.message ?? 'no answer';
  console.log(`audit: skipped, the registry gives no advisories (${reason}); dependencies were not checked`);
} else {
  const severe = Object.values(vulnerabilities ?? {}).filter(({ severity }) =>
    ['high', 'critical'].includes(severity),
  );
  for (const { name, severity, range } of severe) console.log(`audit: ${name} ${range}: ${severity}`);
  console.log(`audit: ${counts.total} known weaknesses, ${severe.length} of them high or critical`);
  process.exitCode = severe.length > 0 ? 1 : 0;
}
