/**
 * Manifests against the types of the Kubernetes API. Two looks, since each is blind on one eye: the validators of
 * `kubernetes-models` know what is required, which values and which patterns are allowed, and pass over fields that do not
 * exist; the compiler, given each manifest as a literal of its interface, knows every field there is.
 */
import path from 'node:path';
import ts from 'typescript';
import type { Manifest } from './manifests.js';

/** Kinds that have types of their own in custom-resources.ts. */
const ownTypes: Readonly<Record<string, string>> = {
  'postgresql.cnpg.io/v1/Cluster': 'CnpgCluster',
  'keda.sh/v1alpha1/ScaledObject': 'ScaledObject',
  'kueue.x-k8s.io/v1beta2/ResourceFlavor': 'ResourceFlavor',
  'kueue.x-k8s.io/v1beta2/ClusterQueue': 'ClusterQueue',
  'kueue.x-k8s.io/v1beta2/LocalQueue': 'LocalQueue',
};

/** `apps/v1` → the module with its models. */
const moduleOf = (apiVersion: string): string =>
  apiVersion.startsWith('monitoring.coreos.com/')
    ? `@kubernetes-models/prometheus-operator/${apiVersion}`
    : `kubernetes-models/${apiVersion}`;

type Model = new (data: object) => { validate(): void };

/** What the validators say; empty when all is well. Own types have none. */
export async function invalid(manifest: Manifest): Promise<readonly string[]> {
  const { apiVersion, kind, metadata } = manifest;
  if (`${apiVersion}/${kind}` in ownTypes) return [];
  const models = (await import(moduleOf(apiVersion))) as Record<string, Model | undefined>;
  const model = models[kind];
  if (model === undefined) return [`${kind} ${metadata.name}: there is no ${kind} in ${apiVersion}`];
  try {
    new model(manifest).validate();
    return [];
  } catch (error) {
    return [`${kind} ${metadata.name}: ${error instanceof Error ? error.message : String(error)}`];
  }
}

/** What the compiler says about manifests of one or many overlays; empty when all is well. */
export function illTyped(named: readonly (readonly [string, Manifest])[]): readonly string[] {
  const file = path.join(import.meta.dirname, 'manifests-as-types.ts');
  const lines = named.map(([, manifest]) => {
    const { apiVersion, kind } = manifest;
    const own = ownTypes[`${apiVersion}/${kind}`];
    const type =
      own === undefined
        ? `import('${moduleOf(apiVersion)}').I${kind}`
        : `import('./custom-resources.js').${own}`;
    return `export const _${String(named.findIndex(([, each]) => each === manifest))}: ${type} = ${JSON.stringify(manifest)};`;
  });
  const program = ts.createProgram([file], compilerOptions, hostWith(file, lines.join('\n')));
  const source = program.getSourceFile(file);
  return program.getSemanticDiagnostics(source).map(({ start, messageText }) => {
    const [where, manifest] = named[lineOf(source, start)] ?? ['?', undefined];
    const text = ts.flattenDiagnosticMessageText(messageText, ' ');
    return `${where}: ${manifest?.kind ?? ''} ${manifest?.metadata.name ?? ''}: ${text}`;
  });
}

const compilerOptions: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  strict: true,
  skipLibCheck: true,
  noEmit: true,
  types: [],
};

const lineOf = (source: ts.SourceFile | undefined, start: number | undefined): number =>
  source === undefined || start === undefined ? -1 : source.getLineAndCharacterOfPosition(start).line;

/** The real file system, and one file that exists only here. */
function hostWith(file: string, text: string): ts.CompilerHost {
  const host = ts.createCompilerHost(compilerOptions);
  return {
    ...host,
    fileExists: (name) => name === file || host.fileExists(name),
    readFile: (name) => (name === file ? text : host.readFile(name)),
    getSourceFile: (name, options, ...rest) =>
      name === file ? ts.createSourceFile(name, text, options) : host.getSourceFile(name, options, ...rest),
  };
}
