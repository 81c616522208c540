/**
 * How running out of memory looks, wherever it happens (runtimes.md §5). One table for process deaths, for programs of other
 * languages and for errors inside a trainer; the name goes into the message, so that people see what was recognised.
 */
interface OutOfMemorySign {
  readonly name: string;
  /** The same as a label in metrics. */
  readonly kind: string;
  readonly pattern: RegExp;
}

/** Texts on standard error or in error messages; the first that matches names the cause. */
const signs: readonly OutOfMemorySign[] = [
  {
    name: 'V8 heap limit',
    kind: 'heap',
    pattern: /JavaScript heap out of memory|Fatal process out of memory/i,
  },
  {
    name: 'GPU memory (CUDA)',
    kind: 'cuda',
    pattern:
      /CUDA out of memory|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation|CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED|torch\.(cuda\.)?OutOfMemoryError|HIP out of memory|MPS backend out of memory/i,
  },
  {
    name: 'GPU memory (TensorFlow)',
    kind: 'tensorflow',
    pattern:
      /TF_Status: 8\b|OOM when allocating|RESOURCE_?EXHAUSTED|Resource exhausted|failed to allocate .* from device/i,
  },
  {
    name: 'GPU memory (WebGPU)',
    kind: 'webgpu',
    pattern:
      /GPUOutOfMemoryError|exceeds the max (buffer|storage buffer binding) size|OUT_OF_(DEVICE|HOST)_MEMORY/i,
  },
  {
    name: 'WebAssembly memory',
    kind: 'wasm',
    pattern:
      /ERR_WASM_OOM|WebAssembly heap is full|Memory\.grow\(\)|WebAssembly\.(Memory|Instance|instantiate)\(\).*(could not allocate|out of) memory|could not allocate memory/i,
  },
  {
    name: 'typed array',
    kind: 'array',
    pattern: /Array buffer allocation failed|Invalid typed array length/,
  },
  {
    name: 'memory of the process',
    kind: 'process',
    pattern:
      /std::bad_alloc|\bMemoryError\b|DefaultCPUAllocator: (can't|not enough)|java\.lang\.OutOfMemoryError|cannot allocate (memory|vector)|\bENOMEM\b|\bout of memory\b/i,
  },
];

/** Words for what kind of memory ran out, as `outOfMemoryKind` gives them. */
export const outOfMemoryKinds: readonly string[] = [
  ...signs.map(({ kind }) => kind),
  ...['kernel', 'predicted', 'other'],
];

/** What kind of memory a failed attempt lacked, by its message: one of `outOfMemoryKinds`. */
export function outOfMemoryKind(message: string): string {
  if (message.startsWith(outOfMemoryForeseen)) return 'predicted';
  // What a message says in parentheses was recognised where it happened; the rest is whatever the program wrote.
  const named = signs.find(
    ({ name }) => message.includes(`(out of memory: ${name})`) || message.includes(`(${name})`),
  );
  if (named !== undefined) return named.kind;
  if (message.includes('(out of memory: killed by the kernel)')) return 'kernel';
  return signs.find(({ pattern }) => pattern.test(message))?.kind ?? 'other';
}

/** How the message of an attempt begins that was not started because it could not fit. */
export const outOfMemoryForeseen = 'out of memory before it started';

/** What kind of memory ran out according to a text, or null when the text speaks of something else. */
export const outOfMemorySign = (text: string): string | null =>
  signs.find(({ pattern }) => pattern.test(text))?.name ?? null;

/** Error codes that mean out of memory, whatever the message says. */
const outOfMemoryCodes: Readonly<Record<string, string>> = {
  ERR_WASM_OOM: 'WebAssembly memory',
  ERR_WORKER_OUT_OF_MEMORY: 'V8 heap limit',
  ENOMEM: 'memory of the process',
};

/**
 * What kind of memory ran out when this was thrown, or null. Typed-array and WebAssembly texts count only in a `RangeError`:
 * the same words in another error are somebody's mistake, not a lack of memory.
 */
export function thrownOutOfMemory(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const byCode = outOfMemoryCodes[code];
  if (byCode !== undefined) return byCode;
  const sign = outOfMemorySign(`${error.name}: ${error.message}`);
  const needsRangeError = sign === 'typed array';
  return needsRangeError && !(error instanceof RangeError) ? null : sign;
}
