/**
 * A stand-in for a container builder: makes the folder /app of a stage of deploy/Dockerfile below a scratch folder, from what
 * the Dockerfile says and the .dockerignore lets through. It runs the steps that work in /app as they stand; those that
 * change the system outside of it (links, packages, users) need a builder and are passed over, and so is the download
 * of `npm ci`: the packages that the project has installed stand in for it.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { Copy, DockerfileParser, type Instruction } from 'dockerfile-ast';
import { projectRoot } from './manifests.js';

/** Steps that reach outside of /app. */
const outside = /^(?:apt-get |ln -s |install -d )/;

export class Stages {
  readonly #scratch: string;
  readonly #stages = new Map<string, { readonly base: string; readonly steps: readonly Instruction[] }>();
  /** What was passed over, for the curious. */
  readonly passedOver: string[] = [];

  constructor(scratch: string) {
    this.#scratch = scratch;
    const dockerfile = DockerfileParser.parse(
      readFileSync(path.join(projectRoot, 'deploy/Dockerfile'), 'utf8'),
    );
    let name = '';
    for (const step of dockerfile.getInstructions()) {
      if (step.getKeyword() === 'FROM') {
        const [base, , stage] = step.getArguments().map((argument) => argument.getValue());
        name = stage!;
        this.#stages.set(name, { base: base!, steps: [] });
      } else if (name !== '') {
        const { base, steps } = this.#stages.get(name)!;
        this.#stages.set(name, { base, steps: [...steps, step] });
      }
    }
  }

  /** The folder that is /app in this stage; made at the first call. */
  app(stage: string): string {
    const app = path.join(this.#scratch, stage, 'app');
    if (existsSync(app)) return app;
    const { base, steps } = this.#stages.get(stage)!;
    const unfinished = `${app}-unfinished`;
    mkdirSync(unfinished, { recursive: true });
    if (this.#stages.has(base)) copyTree(this.app(base), unfinished);
    for (const step of steps) {
      if (step instanceof Copy) this.#copy(step, unfinished);
      if (step.getKeyword() === 'RUN') this.#run(step, unfinished);
    }
    renameSync(unfinished, app);
    return app;
  }

  #copy(step: Copy, app: string): void {
    const values = step.getArguments().map((argument) => argument.getValue());
    const target = values.pop()!;
    const from = step.getFromFlag()?.getValue();
    // What lies outside of /app (the program node itself, TensorFlow's own folder) is the business of real builders.
    if (target.startsWith('/')) return void this.passedOver.push(step.getTextContent());
    for (const source of values) {
      const to = target.endsWith('/')
        ? path.join(app, target, path.basename(source))
        : path.join(app, target);
      if (from === undefined || from === null) copyContext(source, to);
      else copyTree(path.join(this.app(from), path.relative('/app', source)), to);
    }
  }

  #run(step: Instruction, app: string): void {
    const command = step
      .getArguments()
      .map((argument) => argument.getValue())
      .filter((each) => !each.startsWith('--mount='))
      .join(' ');
    if (command.startsWith('npm ci '))
      copyTree(path.join(projectRoot, 'node_modules'), path.join(app, 'node_modules'));
    else if (outside.test(command)) this.passedOver.push(command);
    else {
      const { status, stdout, stderr } = spawnSync('sh', ['-c', command], {
        ...{ cwd: app, encoding: 'utf8' },
        // The types of these very files were checked when the project was built.
        env: { ...process.env, PARZEN_BUILD_UNCHECKED: 'true' },
      });
      if (status !== 0) throw new Error(`RUN ${command}: ended with ${String(status)}\n${stdout}${stderr}`);
    }
  }
}

/** Files as links where the file system can, since nobody writes to them; except those that npm writes in place. */
function copyTree(from: string, to: string): void {
  mkdirSync(path.dirname(to), { recursive: true });
  const source = existsSync(to) ? `${from}/.` : from;
  if (spawnSync('cp', ['-al', source, to]).status !== 0) {
    const { status, stderr } = spawnSync('cp', ['-a', source, to], { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
  }
  for (const file of [
    '.package-lock.json',
    'node_modules/.package-lock.json',
    'package.json',
    'package-lock.json',
  ])
    if (existsSync(path.join(to, file)) && existsSync(path.join(from, file))) {
      rmSync(path.join(to, file));
      copyFileSync(path.join(from, file), path.join(to, file));
    }
}

/** From the project's folder, what git knows and the .dockerignore lets through. */
function copyContext(source: string, to: string): void {
  const { stdout } = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', source], {
    cwd: projectRoot,
    encoding: 'utf8',
  });
  const ignored = /\.test\.ts$|\.test-helper\.ts$/;
  const files = stdout.split('\n').filter((file) => file !== '' && existsSync(path.join(projectRoot, file)));
  if (files.length === 0) throw new Error(`COPY ${source}: there is no such file`);
  for (const file of files.filter((each) => !ignored.test(each)))
    cpSync(path.join(projectRoot, file), path.join(to, path.relative(source, file)));
}
