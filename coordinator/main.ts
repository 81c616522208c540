/** Composition root of the coordinator: arguments and environment in, commands wired. */
import { Command, CommanderError } from 'commander';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { checkEnvironment } from '../shared/platform/environment.js';
import { withoutSecrets } from '../shared/platform/log.js';
import { addAnalysisCommands } from './cli/analysis-commands.js';
import { CommandError } from './cli/command-error.js';
import { addCompareCommands } from './cli/compare-commands.js';
import { addDataCommands } from './cli/data-commands.js';
import { explain } from './cli/explain.js';
import { outliveReader } from './cli/print.js';
import { addReplicateCommands } from './cli/replicate-commands.js';
import { addResultCommands } from './cli/result-commands.js';
import { addStartCommand } from './cli/start-command.js';
import { addStudyCommands } from './cli/study-commands.js';
import { addSuggestCommand } from './cli/suggest-command.js';
import { addTokenCommands } from './cli/token-commands.js';

const version = (
  JSON.parse(readFileSync(path.join(import.meta.dirname, '..', '..', 'package.json'), 'utf8')) as {
    version: string;
  }
).version;

const program = new Command('coordinator')
  .description('Distributed hyperparameter studies: exact TPE, durable trials, honest answers.')
  .version(version)
  .showHelpAfterError('(--help shows the options)')
  .configureOutput({ writeErr: (text) => void process.stderr.write(withoutSecrets(text)) })
  .exitOverride();
addStartCommand(program, version);
addStudyCommands(program);
addResultCommands(program);
addReplicateCommands(program);
addCompareCommands(program);
addDataCommands(program);
addSuggestCommand(program);
addTokenCommands(program);
addAnalysisCommands(program);

/** Options that are switches; any other variable holds the option's value. */
const switches = [
  'PARZEN_CHECK',
  'PARZEN_INSECURE',
  'PARZEN_INSECURE_METRICS',
  'PARZEN_WAIT_FOR_DATA',
  'PARZEN_JSON',
  'PARZEN_REQUIRE_TOKENS',
  'PARZEN_TLS',
];

/** Commander takes what it finds in the environment, so the environment is put right before. */
function readEnvironment(): void {
  const { unset, problems } = checkEnvironment(process.env, switches);
  if (problems.length > 0) throw new CommandError(problems.join('\n'), 2);
  for (const name of unset) Reflect.deleteProperty(process.env, name);
}

outliveReader(process.stdout);
outliveReader(process.stderr);
try {
  readEnvironment();
  await program.parseAsync();
  process.exitCode = 0;
} catch (error) {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  process.stderr.write(`coordinator: ${explain(error)}\n`);
  process.exit(error instanceof CommandError ? error.exitCode : 1);
}
