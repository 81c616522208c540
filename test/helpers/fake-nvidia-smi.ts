/** An `nvidia-smi` that knows one GPU, for machines without any. To be put first on PATH. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export const fakeGpu = {
  uuid: 'GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77',
  model: 'NVIDIA H100 80GB HBM3',
  driver: '535.129.03',
  cuda: '12.2',
} as const;

/** Answers in the formats of the real one. Unknown arguments fail, as they do there. */
const script = `#!/bin/sh
case "$*" in
  "") echo "| NVIDIA-SMI ${fakeGpu.driver}  Driver Version: ${fakeGpu.driver}  CUDA Version: ${fakeGpu.cuda} |" ;;
  -L) echo "GPU 0: ${fakeGpu.model} (UUID: ${fakeGpu.uuid})" ;;
  --query-gpu=index,uuid,name,memory.total,memory.free,driver_version*)
    echo "0, ${fakeGpu.uuid}, ${fakeGpu.model}, 81559, 80998, ${fakeGpu.driver}" ;;
  --id=${fakeGpu.uuid}\\ --query-gpu=memory.used,memory.total,utilization.gpu,temperature.gpu,power.draw,ecc.errors.corrected.volatile.total,ecc.errors.uncorrected.volatile.total*)
    echo "12345, 81559, 87, 64, 512.34, 3, 0" ;;
  *) echo "Invalid combination of input arguments: $*" >&2; exit 1 ;;
esac
`;

/** Writes it into `directory`/bin and answers that folder. */
export function fakeNvidiaSmi(directory: string): string {
  const folder = path.join(directory, 'bin');
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'nvidia-smi'), script, { mode: 0o755 });
  return folder;
}
