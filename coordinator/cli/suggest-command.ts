import { Option, type Command } from 'commander';
import { CommandError } from './command-error.js';
import { InputError } from './json-input.js';
import { print } from './print.js';
import { readStdin } from './read-stdin.js';
import { checkSuggestions, runSuggest } from './suggest.js';

const help = `
Input: one JSON object.
  space             list of parameters, in the order in which they are asked for:
                      {"name", "choices": [...]}
                      {"name", "low", "high", "step", "log"}          a float; step null or absent: continuous
                      {"name", "low", "high", "step", "log", "int": true}
  trials            list, in number order (default: none), of
                      {"state": "COMPLETE", "params", "values": [one per direction]}
                      {"state": "PRUNED", "params", "reports": [[step, value], ...]}
                      {"state": "RUNNING" | "FAIL" | "WAITING" | "CANCELLED", "params"}
                      params: a list in the order of the space (null: not there) or an object by name
                      optional: "constraints" [values], feasible when none is above 0; "space", where this trial
                      was asked with other ranges; "number"
  seeds             list of integers from 0 to 4294967295
  directions        list of "minimize" and "maximize" (default: ["minimize"])
  rules             "optuna-4" (default) or "optuna-5"
  n_startup_trials  default 10         multivariate   default as in Optuna of those rules
  n_ei_candidates   default 24         constant_liar  default as in Optuna of those rules
  fixed             values given from outside, as params       group  default false
Numbers that JSON does not have: NaN, Infinity and -Infinity, bare or in quotes; null is NaN where a number stands.
A whole file of golden figures, {"spaces": {name: space}, "cases": [...]}, is taken as well: a case names its space
and has "expected": [{"seed", "params"}, ...], whose seeds are used.

Output: one line per seed, {"seed": ..., "params": {...}} (of a file {"case": ..., "seed": ..., "params": {...}}): what a
fresh sampler, its MT19937 started from that seed, suggests for the next trial. Floats have all their digits.
Exit code 2, with the place of the mistake, for input that cannot be read; 1 when --check finds a difference.

  coordinator suggest < case.json
  coordinator suggest --check < one-shot-optuna-5.json`;

/** `coordinator suggest`: a case or a file of cases from standard input, one line per suggestion to standard output. */
export function addSuggestCommand(program: Command): void {
  program
    .command('suggest')
    .description('what the sampler would try next on any history, given as JSON on standard input')
    .addOption(
      new Option('--check', 'compare with "expected" in the input: floats to 1e-9, the rest exactly')
        .default(false)
        .env('PARZEN_CHECK'),
    )
    // What it prints is JSON in any case; taken so that every command takes it.
    .addOption(new Option('--json', 'print JSON (always)').env('PARZEN_JSON'))
    .addHelpText('after', help)
    .action(async ({ check }: { check: boolean }) => {
      const input = await readStdin(
        'suggest reads a JSON object from standard input: coordinator suggest < history.json',
      );
      try {
        if (check) printChecked(input);
        else print(runSuggest(input));
      } catch (error) {
        if (error instanceof InputError) throw new CommandError(error.message, 2);
        throw error;
      }
    });
}

function printChecked(input: string): void {
  const { text, different } = checkSuggestions(input);
  print(text);
  if (different > 0) throw new CommandError(`${different} suggestions differ from what is expected`);
}
