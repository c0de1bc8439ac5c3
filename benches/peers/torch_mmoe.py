"""One training step in eager PyTorch with a shared trunk and with a mixture of experts (MMoE), and
the ratio of their times.

python3 torch_mmoe.py [--device cpu|cuda] [--experts N] [--rounds N] [--seconds S] [--threads N]

The step is that of torch_step.py: 784 inputs, trunk 128-128 with ReLU, batches of 128, two heads of
10 classes, soft sharing of the heads, Adam (fused), f32. An expert (default 4 of them) is such a
trunk; the gate of a head is a softmax of one linear layer over the inputs. The experts are written
twice, as a list of modules and as batched products of stacked weights; the faster counts. The
networks take turns in one process, S seconds each (default 0.5) in every round (default 9).
"""

import argparse
import json
import math
import statistics

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from torch_step import CLASSES, STRENGTH, WARM_UP, Step, sharing, timed

INPUTS, WIDTH, HEADS, BATCH, ROWS = 784, 128, 2, 128, 10_000


class Listed(nn.Module):
    """Experts and gates are modules of their own."""

    def __init__(self, experts):
        super().__init__()
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(INPUTS, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU())
            for _ in range(experts)
        )
        self.gates = nn.ModuleList(nn.Linear(INPUTS, experts) for _ in range(HEADS))
        self.heads = nn.ModuleList(nn.Linear(WIDTH, CLASSES) for _ in range(HEADS))

    def forward(self, x):
        """What the heads read, [batch, width] each."""
        experts = torch.stack([expert(x) for expert in self.experts], dim=1)
        shares = (gate(x).softmax(1) for gate in self.gates)
        return [torch.bmm(share[:, None], experts)[:, 0] for share in shares]


class Stacked(nn.Module):
    """All experts at once: their first layers read the same rows and are one product, their second
    layers are a batched one. The gates are one layer."""

    def __init__(self, experts):
        super().__init__()
        self.first = nn.Linear(INPUTS, experts * WIDTH)
        bound = 1 / math.sqrt(WIDTH)
        self.weight = nn.Parameter(torch.empty(experts, WIDTH, WIDTH).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(experts, 1, WIDTH).uniform_(-bound, bound))
        self.gates = nn.Linear(INPUTS, HEADS * experts)
        self.heads = nn.ModuleList(nn.Linear(WIDTH, CLASSES) for _ in range(HEADS))
        self.count = experts

    def forward(self, x):
        hidden = self.first(x).relu().view(-1, self.count, WIDTH).transpose(0, 1)
        experts = torch.baddbmm(self.bias, hidden, self.weight).relu().transpose(0, 1)
        shares = self.gates(x).view(-1, HEADS, self.count).softmax(2)
        return torch.bmm(shares, experts).unbind(1)


class MixtureStep(Step):
    def __init__(self, shape, net):
        super().__init__(shape)
        self.net = net.to(shape.device)
        cuda = shape.device == "cuda"
        self.adam = torch.optim.Adam(self.net.parameters(), lr=1e-3, fused=True, capturable=cuda)

    def loss_of(self, rows):
        features, y = self.net(self.x[rows]), self.y[rows]
        total = sum(
            cross_entropy(head(h), y[:, i])
            for i, (head, h) in enumerate(zip(self.net.heads, features))
        )
        return total + STRENGTH * sharing(self.net.heads)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--experts", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--threads", type=int)
    return parser.parse_args()


def main():
    options = arguments()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("highest")
    shape = argparse.Namespace(
        batch=BATCH,
        width=WIDTH,
        inputs=INPUTS,
        heads=HEADS,
        rows=ROWS,
        mode="eager",
        device=options.device,
    )
    steps = {
        "shared": Step(shape),
        "mmoe_list": MixtureStep(shape, Listed(options.experts)),
        "mmoe_stacked": MixtureStep(shape, Stacked(options.experts)),
    }
    counts = {}
    for name, step in steps.items():
        timed(step, WARM_UP)
        quickest = min(timed(step, 3) for _ in range(3))
        counts[name] = max(1, int(1e3 * options.seconds / quickest))
    times = {name: [] for name in steps}
    for _ in range(options.rounds):
        for name, step in steps.items():
            times[name].append(timed(step, counts[name]))

    medians = {name: statistics.median(t) for name, t in times.items()}
    faster = min(["mmoe_list", "mmoe_stacked"], key=medians.get)
    place = (
        torch.cuda.get_device_name()
        if options.device == "cuda"
        else f"CPU, {torch.get_num_threads()} threads"
    )
    print(
        json.dumps(
            {
                "torch": torch.__version__,
                "device": place,
                "experts": options.experts,
                "ms_per_step": medians,
                "faster": faster,
                "ratio": medians[faster] / medians["shared"],
            }
        )
    )


if __name__ == "__main__":
    main()
