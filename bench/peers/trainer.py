"""Times one optimiser step of the Hermite model in PyTorch: the peer of bench/trainer.ts (CPU) and bench/gpu.ts (GPU).

Usage: trainer.py [--device cpu|cuda] [--mode eager|graph] [--tf32] [--threads N] [--steps N] [--seconds S] CONFIG [CONFIG ...]
A CONFIG is small, median, large, or numbers: WINDOW,LSTM_HIDDEN,MAPS_A,MAPS_B,HIDDEN,DEGREE.

Prints one JSON line per config: {"peer", "version", "device", "mode", "tf32", "threads", "config", "parameters", "secondsPerStep",
"secondsMin", "cpuSecondsPerStep", "steps", "peakMemoryBytes", "loss"}. A step is forward, backward, clipping and AdamW on a batch of
512 rows with dropout 0.1; on a GPU every step is waited for, so that nothing is hidden in a queue. Memory is the peak of the GPU's
allocator, or of the process.

It is PyTorch at its best rather than the original program: all maps are one matrix, the LSTM is cuDNN's, AdamW is the fused one, and
mode "graph" replays the whole step as one CUDA graph. Denormals are flushed on the CPU, which is up to five times faster.
"""

import argparse
import json
import math
import os
import resource
import statistics
import sys
import time

ROWS = 512
CONTEXT = 12
FEATURES = 4
DROPOUT = 0.1
CONFIGS = {
    "small": (16, 32, 4, 1, 64, 4),
    "median": (136, 64, 6, 3, 128, 6),
    "large": (256, 96, 9, 5, 192, 8),
}


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--mode", choices=["eager", "graph"], default="eager")
    parser.add_argument("--tf32", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20.0, help="a config takes no longer than this")
    parser.add_argument("configs", nargs="+")
    return parser.parse_args()


options = arguments()
for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]:
    os.environ.setdefault(name, str(options.threads))

try:
    import torch
except ImportError as error:
    sys.exit(f"this Python has no PyTorch: {error}")

from torch import nn  # noqa: E402


class Polynomials:
    """Value and slope of a series of probabilists' Hermite polynomials at the clamped point."""

    def __init__(self, degree):
        self.degree = degree

    def __call__(self, z, coefficients):
        z = z.clamp(-10, 10)
        basis = [torch.ones_like(z), z]
        for k in range(1, self.degree):
            basis.append(z * basis[k] - k * basis[k - 1])
        value = coefficients[0] * basis[0]
        slope = 0
        for k in range(1, self.degree + 1):
            value = value + coefficients[k] * basis[k]
            slope = slope + coefficients[k] * k * basis[k - 1]
        return value, slope


class Model(nn.Module):
    def __init__(self, window, lstm_hidden, maps_a, maps_b, hidden, degree):
        super().__init__()
        width = lstm_hidden + CONTEXT
        rows = (maps_a + maps_b) * hidden
        self.lstm = nn.LSTM(FEATURES, lstm_hidden, batch_first=True)
        self.maps = nn.Parameter(torch.rand(rows, width) * 0.1 / math.sqrt(width))
        self.coefficients = nn.Parameter(0.01 * torch.randn(degree + 1).abs())
        self.bias = nn.Parameter(torch.zeros(width))
        signs = torch.ones(rows, 1)
        signs[maps_a * hidden :] = -1
        self.register_buffer("signs", signs)
        self.series = Polynomials(degree)
        self.shared = nn.Sequential(nn.Linear(2 * width + 1, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(DROPOUT))
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.Dropout(DROPOUT), nn.Linear(hidden, 1)) for _ in range(3)
        )

    def forward(self, sequence, context):
        hidden = self.lstm(sequence)[0][:, -1]
        s = torch.cat([hidden, context], 1)
        value, slope = self.series(s @ self.maps.T, self.coefficients)
        signed = self.signs * self.maps
        features = value @ signed + self.bias
        trace = slope @ (signed * self.maps).sum(1, keepdim=True)
        shared = self.shared(torch.cat([s, features, trace], 1))
        return torch.cat([head(shared) for head in self.heads], 1)


def loss_of(outputs, y):
    mu, logvar, logit = outputs[:, 0], outputs[:, 1].clamp(-12, 5), outputs[:, 2]
    nll = 0.5 * ((y - mu) ** 2 * torch.exp(-logvar) + logvar).mean()
    q = logit * torch.where(y > 0, 1.0, -1.0)
    softplus = nn.functional.softplus
    focal = (torch.exp(-2.0 * softplus(q)) * softplus(-q)).mean()
    sign = ((torch.tanh(5 * mu) - torch.sign(y)) ** 2).mean()
    return nll + focal + 0.1 * torch.exp(logvar).mean() + 0.1 * sign


class Step:
    """One optimiser step on a fixed batch; called again and again."""

    def __init__(self, shape, device, mode):
        torch.manual_seed(1)
        self.device = device
        self.model = Model(*shape).to(device).train()
        self.parameters = list(self.model.parameters())
        self.sequence = torch.randn(ROWS, shape[0], FEATURES, device=device)
        self.context = torch.randn(ROWS, CONTEXT, device=device)
        self.y = 0.005 * torch.randn(ROWS, device=device)
        on_gpu = device.type == "cuda"
        extra = {"fused": True} if on_gpu else {"foreach": True}
        if mode == "graph":
            extra["capturable"] = True
        self.optimiser = torch.optim.AdamW(self.parameters, lr=1e-3, weight_decay=1e-4, **extra)
        self.loss = None
        self.graph = None
        if mode == "graph":
            self.capture()

    def eager(self):
        self.optimiser.zero_grad(set_to_none=True)
        self.loss = loss_of(self.model(self.sequence, self.context), self.y)
        self.loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 0.5)
        self.optimiser.step()

    def capture(self):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.eager()
        torch.cuda.current_stream().wait_stream(side)
        self.optimiser.zero_grad(set_to_none=True)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.eager()

    def __call__(self):
        if self.graph is None:
            self.eager()
        else:
            self.graph.replay()
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def measure(name, device):
    shape = CONFIGS.get(name) or tuple(int(part) for part in name.split(","))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    step = Step(shape, device, options.mode)
    for _ in range(3 if device.type == "cuda" else 1):
        step()
    times = []
    cpu_start = time.process_time()
    start = time.perf_counter()
    while len(times) < options.steps and (len(times) < 2 or time.perf_counter() - start < options.seconds):
        before = time.perf_counter()
        step()
        times.append(time.perf_counter() - before)
    cpu = (time.process_time() - cpu_start) / len(times)
    gpu_name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    peak = (
        torch.cuda.max_memory_reserved()
        if device.type == "cuda"
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    line = {
        "peer": "pytorch",
        "version": torch.__version__,
        "device": gpu_name,
        "mode": options.mode,
        "tf32": options.tf32,
        "threads": torch.get_num_threads(),
        "config": name,
        "parameters": sum(parameter.numel() for parameter in step.parameters),
        "secondsPerStep": statistics.median(times),
        "secondsMin": min(times),
        "cpuSecondsPerStep": cpu,
        "steps": len(times),
        "peakMemoryBytes": peak,
        "loss": float(step.loss),
    }
    print(json.dumps(line), flush=True)


def main():
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    torch.backends.cuda.matmul.allow_tf32 = options.tf32
    torch.backends.cudnn.allow_tf32 = options.tf32
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("this PyTorch sees no CUDA device")
    for name in options.configs:
        measure(name, device)


if __name__ == "__main__":
    main()
