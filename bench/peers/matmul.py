"""What one core can do at best: a matrix product of 2048 x 2048 in single precision, one thread, the best of ten.

Prints one JSON line: {"peer", "version", "operationsPerCpuSecond"}.
"""

import json
import os
import sys
import time

for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]:
    os.environ.setdefault(name, "1")

try:
    import torch
except ImportError as error:
    sys.exit(f"this Python has no PyTorch: {error}")

SIZE = 2048


def main():
    torch.set_num_threads(1)
    a = torch.randn(SIZE, SIZE)
    b = torch.randn(SIZE, SIZE)
    torch.mm(a, b)
    best = float("inf")
    for _ in range(10):
        before = time.process_time()
        torch.mm(a, b)
        best = min(best, time.process_time() - before)
    line = {"peer": "pytorch", "version": torch.__version__, "operationsPerCpuSecond": 2 * SIZE**3 / best}
    print(json.dumps(line))


main()
