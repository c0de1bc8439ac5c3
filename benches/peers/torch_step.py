"""One multi-task training step in PyTorch, a peer of `tandem bench step`.

python3 torch_step.py BATCH WIDTH INPUTS HEADS eager|compile|graphs
                      [--device cpu|cuda] [--rows N] [--seconds S]

Trunk INPUTS-WIDTH-WIDTH with ReLU, HEADS heads of 10 classes, soft sharing between all pairs, Adam
(fused), f32. N rows (default 10000) stay on the device; a step gathers its rows by an order.
`compile` is torch.compile over gather, forward and backward. `graphs` is one CUDA graph of the
whole step. Prints one JSON object with the time of a step in five repeats of about S seconds each
(default 0.5).
"""

import argparse
import json
import time

import torch
from torch import nn
from torch.nn.functional import cross_entropy

CLASSES = 10
STRENGTH = 0.01
REPEATS = 5
WARM_UP = 10


def network(inputs, width, heads):
    trunk = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
    return nn.ModuleDict(
        {"trunk": trunk, "heads": nn.ModuleList(nn.Linear(width, CLASSES) for _ in range(heads))}
    )


def sharing(heads):
    """Half the squared distances of all pairs of heads, over weights and biases. The sum visits
    every pair twice."""
    flat = torch.stack([torch.cat([head.weight.flatten(), head.bias]) for head in heads])
    return (flat[None] - flat[:, None]).square().sum() / 4


def loss(net, x, y):
    h = net["trunk"](x)
    total = sum(cross_entropy(head(h), y[:, i]) for i, head in enumerate(net["heads"]))
    return total + STRENGTH * sharing(net["heads"])


class Step:
    """Returns a function that runs a step from Python, operation by operation or compiled."""

    def __init__(self, shape):
        cuda = shape.device == "cuda"
        self.batch, rows = shape.batch, max(shape.rows, shape.batch)
        self.net = network(shape.inputs, shape.width, shape.heads).to(shape.device)
        self.adam = torch.optim.Adam(self.net.parameters(), lr=1e-3, fused=True, capturable=cuda)
        self.x = torch.rand(rows, shape.inputs, device=shape.device)
        self.y = torch.randint(0, CLASSES, (rows, shape.heads), device=shape.device)
        self.order = torch.randperm(rows, device=shape.device)
        self.loss = torch.compile(self.loss_of) if shape.mode == "compile" else self.loss_of
        self.wait = torch.cuda.synchronize if cuda else lambda: None

    def loss_of(self, rows):
        return loss(self.net, self.x[rows], self.y[rows])

    def rows(self, number):
        first = number * self.batch % (len(self.order) - self.batch + 1)
        return self.order[first : first + self.batch]

    def update(self, rows):
        self.loss(rows).backward()
        self.adam.step()

    def run(self, number):
        self.adam.zero_grad(set_to_none=True)
        self.update(self.rows(number))


class Graph(Step):
    """Returns a function that replays one CUDA graph of the whole step, from the gather to Adam;
    the host only writes the row numbers."""

    def __init__(self, shape):
        super().__init__(shape)
        self.slot = self.rows(0).clone()
        self.warm_up()
        self.adam.zero_grad(set_to_none=True)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.update(self.slot)

    def warm_up(self):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for number in range(3):
                super().run(number)
        torch.cuda.current_stream().wait_stream(side)

    def run(self, number):
        self.slot.copy_(self.rows(number))
        self.graph.replay()


def timed(step, steps):
    """Milliseconds per step."""
    step.wait()
    start = time.perf_counter()
    for number in range(steps):
        step.run(number)
    step.wait()
    return 1e3 * (time.perf_counter() - start) / steps


def measure(step, seconds):
    timed(step, WARM_UP)
    quickest = min(timed(step, 3) for _ in range(3))
    steps = max(1, int(1e3 * seconds / quickest))
    times = sorted(timed(step, steps) for _ in range(REPEATS))
    return {
        "steps": steps,
        "ms_per_step": {"min": times[0], "median": times[REPEATS // 2], "max": times[-1]},
    }


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for size in ["batch", "width", "inputs", "heads"]:
        parser.add_argument(size, type=int)
    parser.add_argument("mode", choices=["eager", "compile", "graphs"])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=0.5)
    shape = parser.parse_args()
    if shape.mode == "graphs" and shape.device != "cuda":
        parser.error("graphs needs --device cuda")
    return shape


def main():
    shape = arguments()
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("highest")
    step = (Graph if shape.mode == "graphs" else Step)(shape)
    place = (
        torch.cuda.get_device_name()
        if shape.device == "cuda"
        else f"CPU, {torch.get_num_threads()} threads"
    )
    print(
        json.dumps(
            {
                "torch": torch.__version__,
                "mode": shape.mode,
                "device": place,
                **measure(step, shape.seconds),
            }
        )
    )


if __name__ == "__main__":
    main()
