import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { cgroupOomKills } from './cgroup.js';
import { classifyExit, type ProcessExit } from './classify-exit.js';
import { thrownOutOfMemory } from './out-of-memory.js';

const exit = (change: Partial<ProcessExit>): ProcessExit => ({
  ...{ code: 1, signal: null, output: '', cgroupOomKills: 0, ...change },
});

/** Texts as the runtimes write them (runtimes.md §5), among the lines that surround them. */
const recorded: [string, RegExp][] = [
  [
    '<--- Last few GCs --->\n[77:0x6c] 93 ms: Mark-sweep (reduce) 31.9 (35.0) -> 31.9 (34.7) MB\nFATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n----- Native stack trace -----',
    /V8/,
  ],
  ['# Fatal process out of memory: SegmentedTable::InitializeTable (subspace allocation)', /V8/],
  [
    'Error: Invalid TF_Status: 8\nMessage: OOM when allocating tensor with shape[512,256,384] and type float on /job:localhost/replica:0/task:0/device:GPU:0 by allocator GPU_0_bfc\n    at NodeJSKernelBackend.executeSingleOutput',
    /TensorFlow/,
  ],
  [
    '2022-01-01 W tensorflow/core/framework/op_kernel.cc:1745] OP_REQUIRES failed: RESOURCE_EXHAUSTED: failed to allocate memory',
    /TensorFlow/,
  ],
  [
    'E tensorflow/stream_executor/cuda/cuda_driver.cc:794] failed to alloc 2147483648 bytes on host: CUDA_ERROR_OUT_OF_MEMORY: out of memory',
    /CUDA/,
  ],
  [
    'E tensorflow/stream_executor/cuda/cuda_blas.cc:218] failed to create cublas handle: CUBLAS_STATUS_ALLOC_FAILED',
    /CUDA/,
  ],
  [
    'I tensorflow/stream_executor/cuda/cuda_driver.cc:733] failed to allocate 3.92G (4214620160 bytes) from device: OUT_OF_RANGE',
    /TensorFlow/,
  ],
  ['RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 7.79 GiB total capacity)', /CUDA/],
  ['GPUOutOfMemoryError: vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY', /WebGPU/],
  ['GPUValidationError: Buffer size (8589934592) exceeds the max buffer size limit (4294967296).', /WebGPU/],
  ['RangeError: WebAssembly.Memory.grow(): Maximum memory size exceeded', /WebAssembly/],
  ['RangeError: WebAssembly.Memory(): could not allocate memory', /WebAssembly/],
  [
    'RangeError: WebAssembly.Instance(): Out of memory: Cannot allocate Wasm memory for new instance',
    /WebAssembly/,
  ],
  ['RangeError: Array buffer allocation failed\n    at new ArrayBuffer (<anonymous>)', /typed array/],
  ["terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc", /process/],
  ['Traceback (most recent call last):\n  File "train.py", line 3, in <module>\nMemoryError', /process/],
  ['numpy.core._exceptions._ArrayMemoryError: Unable to allocate 74.5 GiB\nMemoryError', /process/],
  ['Error: cannot allocate vector of size 7.5 Gb', /process/],
  ['fork: Cannot allocate memory', /process/],
];

describe('the end of a process', () => {
  it.each(recorded)('is an out-of-memory: %.60s', (output, name) => {
    const { reason, message } = classifyExit(exit({ output }));
    expect(reason).toBe('oom');
    expect(message).toMatch(name);
    // The text counts whatever the code: abort, exit, segmentation fault.
    expect(classifyExit(exit({ output, code: null, signal: 'SIGABRT' })).reason).toBe('oom');
  });

  it.each([
    ['a plain error', exit({ output: 'TypeError: x is not a function' })],
    ['no text at all', exit({ code: 139 })],
    [
      'memory that is only spoken of',
      exit({ output: 'allocated 3 GB of memory; loading model into memory' }),
    ],
    ['a kill that nobody counted', exit({ code: null, signal: 'SIGKILL' })],
    ['a kill where the kernel does not count', exit({ code: null, signal: 'SIGKILL', cgroupOomKills: null })],
    ['an abort', exit({ code: null, signal: 'SIGABRT', cgroupOomKills: 1 })],
  ])('is an error: %s', (_, ended) => {
    expect(classifyExit(ended).reason).toBe('error');
  });

  it('is an out-of-memory when the kernel counted a kill', () => {
    expect(classifyExit(exit({ code: null, signal: 'SIGKILL', cgroupOomKills: 1 }))).toMatchObject({
      ...{ reason: 'oom', message: expect.stringMatching(/SIGKILL .*killed by the kernel/) },
    });
    expect(classifyExit(exit({ code: 137, cgroupOomKills: 1 })).reason).toBe('oom');
  });

  it('says what is not known', () => {
    const { message } = classifyExit(exit({ code: null, signal: 'SIGKILL', cgroupOomKills: null }));
    expect(message).toMatch(/does not say/);
  });
});

describe('what a trainer throws', () => {
  const coded = (code: string) => Object.assign(new Error('something'), { code });
  class GPUOutOfMemoryError extends Error {
    override readonly name = 'GPUOutOfMemoryError';
  }

  it.each([
    ['a code of the wasm runtime', coded('ERR_WASM_OOM'), /WebAssembly/],
    ['a worker thread’s limit', coded('ERR_WORKER_OUT_OF_MEMORY'), /V8/],
    ['the system’s refusal', coded('ENOMEM'), /process/],
    ['a WebGPU error', new GPUOutOfMemoryError('vkAllocateMemory failed'), /WebGPU/],
    [
      'TensorFlow’s status',
      new Error('Invalid TF_Status: 8\nMessage: OOM when allocating tensor'),
      /TensorFlow/,
    ],
    ['a typed array', new RangeError('Array buffer allocation failed'), /typed array/],
  ])('is an out-of-memory: %s', (_, error, name) => {
    expect(thrownOutOfMemory(error)).toMatch(name);
  });

  it('is recognised when it is real', () => {
    const thrown = (work: () => unknown): unknown => {
      try {
        work();
      } catch (error) {
        return error;
      }
      return null;
    };
    expect(thrownOutOfMemory(thrown(() => new Float64Array(2 ** 53)))).toBe('typed array');
    expect(thrownOutOfMemory(thrown(() => new ArrayBuffer(2 ** 52)))).toBe('typed array');
  });

  it.each([
    ['another error', new TypeError('x is not a function')],
    ['a mistake with the words of a lack', new Error('Invalid typed array length: -1')],
    ['TensorFlow’s other statuses', new Error('Invalid TF_Status: 3\nMessage: Incompatible shapes')],
    ['TensorFlow’s status 80', new Error('Invalid TF_Status: 80')],
    ['no error', 'out of memory'],
  ])('is not: %s', (_, error) => {
    expect(thrownOutOfMemory(error)).toBeNull();
  });
});

describe('the kernel’s counter', () => {
  const base = mkdtempSync(path.join(tmpdir(), 'parzen-cgroup-'));
  afterAll(() => rmSync(base, { recursive: true }));
  let made = 0;
  /** A made-up /proc and /sys/fs/cgroup. */
  const roots = (files: Record<string, string>) => {
    const root = path.join(base, String((made += 1)));
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
      writeFileSync(path.join(root, file), text);
    }
    return { proc: path.join(root, 'proc'), cgroup: path.join(root, 'cgroup') };
  };
  const events = (kills: number) => `low 0\nhigh 0\nmax 3\noom 3\noom_kill ${kills}\noom_group_kill 0\n`;

  it('of version 2 is found by the process’s own path', () => {
    const own = { 'proc/self/cgroup': '0::/user.slice/a\n', 'cgroup/user.slice/a/memory.events': events(2) };
    expect(cgroupOomKills(roots(own))).toBe(2);
  });

  it('of version 2 inside a container lies at the root', () => {
    const own = { 'proc/self/cgroup': '0::/docker/abc\n', 'cgroup/memory.events': events(1) };
    expect(cgroupOomKills(roots(own))).toBe(1);
  });

  it('of version 1 lies in the memory controller', () => {
    const own = {
      'proc/self/cgroup': '12:cpu,cpuacct:/a\n4:memory:/jobs/7\n0::/\n',
      'cgroup/memory/jobs/7/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 5\n',
    };
    expect(cgroupOomKills(roots(own))).toBe(5);
  });

  it('is unknown elsewhere', () => {
    expect(cgroupOomKills(roots({ 'proc/self/cgroup': '0::/a\n' }))).toBeNull();
    expect(cgroupOomKills(roots({ 'other/file': '' }))).toBeNull();
  });
});
