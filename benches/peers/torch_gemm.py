"""The products A·B, A·Bᵀ and Aᵀ·B in PyTorch, peers of `tandem bench gemm`.

python3 torch_gemm.py M N K [--device cpu|cuda] [--seconds S]

Outputs are [M, N], the inner length is K, all in f32. Prints one JSON object: for each product the
median time of five repeats of about S seconds each (default 0.5).
"""

import argparse
import json
import time

import torch

REPEATS = 5


def operands(m, n, k, device):
    """{name: (A, B)}, the arguments of `torch.mm`; a transposed matrix is a view of a matrix that
    is stored the other way round."""

    def matrix(rows, columns):
        return torch.randn(rows, columns, device=device)

    return {
        "nn": (matrix(m, k), matrix(k, n)),
        "nt": (matrix(m, k), matrix(n, k).T),
        "tn": (matrix(k, m).T, matrix(k, n)),
    }


def timed(a, b, out, times, wait):
    """Milliseconds per product."""
    wait()
    start = time.perf_counter()
    for _ in range(times):
        torch.mm(a, b, out=out)
    wait()
    return 1e3 * (time.perf_counter() - start) / times


def measure(a, b, seconds, wait):
    out = torch.empty(a.shape[0], b.shape[1], device=a.device)
    quickest = min(timed(a, b, out, 3, wait) for _ in range(5))
    times = max(1, int(1e3 * seconds / quickest))
    ms = sorted(timed(a, b, out, times, wait) for _ in range(REPEATS))[REPEATS // 2]
    return {"ms": ms, "gflop_per_s": 2 * a.shape[0] * b.shape[1] * a.shape[1] / ms / 1e6}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for size in "mnk":
        parser.add_argument(size, type=int)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--seconds", type=float, default=0.5)
    chosen = parser.parse_args()
    cuda = chosen.device == "cuda"
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("highest")
    wait = torch.cuda.synchronize if cuda else lambda: None
    pairs = operands(chosen.m, chosen.n, chosen.k, chosen.device)
    place = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads"
    products = {name: measure(a, b, chosen.seconds, wait) for name, (a, b) in pairs.items()}
    print(json.dumps({"torch": torch.__version__, "device": place, **products}))


if __name__ == "__main__":
    main()
