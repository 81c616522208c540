/** The environment, made fit for a command line parser that reads options from it. */
const switchWords: ReadonlyMap<string, boolean> = new Map([
  ...['1', 'true', 'yes', 'on'].map((word) => [word, true] as const),
  ...['0', 'false', 'no', 'off'].map((word) => [word, false] as const),
]);

/**
 * What must go from the environment before options are read from it: empty variables, which count as none, and switches
 * that say no, since an option that is a switch counts as on when its variable is there at all. `problems` names
 * switches that say neither yes nor no.
 */
export function checkEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  switches: readonly string[],
): { readonly unset: readonly string[]; readonly problems: readonly string[] } {
  const unset: string[] = [];
  const problems: string[] = [];
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith('PARZEN_')) continue;
    const on = switches.includes(name) && value !== '' ? switchWords.get(String(value).toLowerCase()) : true;
    if (on === undefined) problems.push(`${name} is '${value ?? ''}'; give true or false`);
    else if (!on || value === '') unset.push(name);
  }
  return { unset, problems };
}
