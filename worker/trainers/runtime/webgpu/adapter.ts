/** Finds the GPU for the `webgpu` runtime: Dawn from the npm package `webgpu`, on Vulkan, Metal or D3D12. */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

/** Part of the name of the adapter to use; a software renderer is used only when it is named here. */
export const adapterVariable = 'PARZEN_WEBGPU_ADAPTER';
/** Options of Dawn beside the adapter, separated by spaces, e.g. `backend=vulkan enable-dawn-features=disable_robustness`. */
export const dawnVariable = 'PARZEN_DAWN_OPTIONS';

/** What people know an adapter by. */
export interface AdapterFacts {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly isFallbackAdapter?: boolean;
}

export interface OpenedAdapter {
  readonly adapter: GPUAdapter;
  readonly facts: AdapterFacts;
  readonly name: string;
}

interface Dawn {
  readonly create: (options: readonly string[]) => GPU;
  readonly globals: Readonly<Record<string, unknown>>;
}

/** The device, then the driver, each once. */
export const adapterName = ({ device, description, vendor }: AdapterFacts): string =>
  [device === '' ? vendor : device, description].filter((part) => part !== '').join(', ');

const softwareNames = /swiftshader|llvmpipe|lavapipe|softpipe|software|basic render/i;

export const isSoftware = (facts: AdapterFacts): boolean =>
  facts.isFallbackAdapter === true || softwareNames.test(`${facts.device} ${facts.description}`);

/** Why this adapter must not be used, or null. A software renderer is slower than the wasm runtime by far. */
export function refusalOf(facts: AdapterFacts, wanted: string): string | null {
  const name = adapterName(facts);
  if (wanted !== '' && !name.toLowerCase().includes(wanted.toLowerCase()))
    return `no adapter with '${wanted}' in its name; the one found is ${name}`;
  if (isSoftware(facts) && wanted === '')
    return `only a software renderer was found (${name}); name it in ${adapterVariable} to use it all the same`;
  return null;
}

async function loadDawn(): Promise<Dawn> {
  let file: string;
  try {
    file = createRequire(import.meta.url).resolve('webgpu');
  } catch (error) {
    throw new Error("the optional package 'webgpu' is not installed", { cause: error });
  }
  try {
    return (await import(pathToFileURL(file).href)) as Dawn;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`the binary of package 'webgpu' cannot be loaded: ${reason}`, { cause: error });
  }
}

/** What Dawn keeps alive: without a reference to it the process crashes when it is collected. */
let instance: GPU | null = null;

/** Makes `navigator.gpu` and the constructors that TensorFlow.js expects; Node 20 has neither. */
function installGlobals(gpu: GPU, globals: Dawn['globals']): void {
  Object.assign(globalThis, globals);
  instance = gpu;
  const known: unknown = Reflect.get(globalThis, 'navigator');
  const navigator = Object.create(known instanceof Object ? known : null) as object;
  const value = Object.defineProperty(navigator, 'gpu', { value: instance, enumerable: true });
  Object.defineProperty(globalThis, 'navigator', { value, configurable: true, writable: true });
}

/** Names in Dawn's list of adapters, which it gives when none has the name that was asked for. */
const adapterNames = (text: string): string[] =>
  [...text.matchAll(/name: '([^']*)'/g)].map(([, name = '']) => name);

/**
 * The adapter with `wanted` in its name, in capitals or not (Dawn itself minds them); any when nothing is wanted. Null when there
 * is none at all.
 */
async function requestAdapter(wanted: string, options: readonly string[]): Promise<GPUAdapter | null> {
  const { create, globals } = await loadDawn();
  const request = async (name: string): Promise<GPUAdapter | null> => {
    const gpu = create([...(name === '' ? [] : [`adapter=${name}`]), ...options]);
    const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
    if (adapter !== null) installGlobals(gpu, globals);
    return adapter;
  };
  try {
    return await request(wanted);
  } catch (error) {
    const names = adapterNames(error instanceof Error ? error.message : '');
    const name = names.find((known) => known.toLowerCase().includes(wanted.toLowerCase()));
    if (wanted === '' || names.length === 0) throw error;
    if (name === undefined || name === wanted)
      throw new Error(`no adapter with '${wanted}' in its name; there is ${names.join('; ')}`, {
        cause: error,
      });
    return request(name);
  }
}

/**
 * Opens the adapter that the environment asks for, else the fastest real GPU. Throws one error that says why none can be
 * used, for people.
 */
export async function openAdapter(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<OpenedAdapter> {
  const wanted = (environment[adapterVariable] ?? '').trim();
  const extra = (environment[dawnVariable] ?? '').split(/\s+/).filter((option) => option !== '');
  const adapter = await requestAdapter(wanted, extra);
  if (adapter === null)
    throw new Error(
      wanted === ''
        ? 'no GPU was found: a Vulkan loader (libvulkan1) and the driver for the GPU are needed'
        : `no adapter with '${wanted}' in its name was found`,
    );
  // The types that come with TensorFlow.js are older than `info`.
  const { vendor, architecture, device, description, isFallbackAdapter } = (
    adapter as unknown as { info: AdapterFacts }
  ).info;
  const facts: AdapterFacts = {
    ...{ vendor, architecture, device, description },
    isFallbackAdapter: isFallbackAdapter === true,
  };
  const refusal = refusalOf(facts, wanted);
  if (refusal !== null) throw new Error(refusal);
  return { adapter, facts, name: adapterName(facts) };
}
