"""One training step in eager PyTorch with equal weights of the tasks and with balancers of TorchJD
and LibMTL, and how many times longer the balancers take.

python3 torch_balance.py [--device cpu|cuda] [--heads LIST] [--methods PATTERNS] [--list]
                         [--coupling soft_sharing|none] [--rounds N] [--seconds S] [--threads N]
                         [--json FILE]

The step is that of torch_step.py: 784 inputs, trunk 128-128 with ReLU, batches of 128, heads of 10
classes, soft sharing of the heads, Adam (fused), f32. --heads are the numbers of heads (default
2,8,32). A balancer weighs the tasks' losses or combines the gradients that they give the trunk. The
soft sharing gives the trunk none, so it stays outside; --coupling none leaves it out of all rows.

A row of the table is named library/method/way (--list shows all). --methods takes some of them, as
patterns such as 'torchjd/*' or '*/MGDA/*', separated by commas; equal weights are always measured.
The ways:

- jacobian: TorchJD's `mtl_backward` and `jac_to_grad`, one gradient of the trunk per task.
- gramian: TorchJD's `autogram.Engine` over the trunk, then a backward pass of the weighted losses.
- parameters: LibMTL with one gradient of the trunk's parameters per task.
- representation: LibMTL with one gradient of the trunk's output per task (its `rep_grad`).
- losses: LibMTL's methods that only look at the losses.
- parameters-list, representation-list: the same with a list of losses, where the method takes one.
  LibMTL's `Trainer` makes one tensor of them, as the other rows do, so the backward pass of each
  loss visits all heads, with zeros.

The rows take turns in one process, about S seconds each (default 0.5) in every round (default 5).
Each turn begins with the same weights. Prints a Markdown table: milliseconds per step, as the
median and the range of the rounds, and the median over that of equal weights. README.md says what
to install.
"""

import argparse
import fnmatch
import functools
import importlib
import importlib.metadata
import importlib.util
import json
import math
import os
import pathlib
import random
import statistics
import sys
import types

import numpy
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from torch_step import CLASSES, STRENGTH, WARM_UP, Step, sharing, timed

INPUTS, WIDTH, BATCH, ROWS = 784, 128, 128, 10_000
EQUAL = "torch/equal"

# Methods of TorchJD; `True` where its weights follow from the Gram matrix alone, which the way
# `gramian` needs. `Sum` is equal weighting and shows what the gradients cost without a balancer.
TORCHJD = {
    "Sum": True,
    "UPGrad": True,
    "MGDA": True,
    "PCGrad": True,
    "AlignedMTL": True,
    "CAGrad": True,
    "IMTLG": True,
    "DualProj": True,
    "ConFIG": False,
    "GradDrop": False,
    "NashMTL": False,
}

# Methods of LibMTL: the ways that they have and the defaults of its command line. `EW` is equal
# weighting.
BOTH = ["parameters", "representation", "parameters-list", "representation-list"]
LIBMTL = {
    "EW": (["losses"], {}),
    "UW": (["losses"], {}),
    "FAMO": (["losses"], {"FAMO_w_lr": 0.025, "FAMO_w_gamma": 1e-3}),
    "GradNorm": (BOTH, {"alpha": 1.5}),
    "MGDA": (BOTH, {"mgda_gn": "none"}),
    "PCGrad": (["parameters", "parameters-list"], {}),
    "CAGrad": (["parameters", "parameters-list"], {"calpha": 0.5, "rescale": 1}),
    "Nash_MTL": (
        ["parameters"],
        {"update_weights_every": 1, "optim_niter": 20, "max_norm": 1.0},
    ),
    "DB_MTL": (["parameters"], {"DB_beta": 0.9, "DB_beta_sigma": 0}),
}


class Failure(Exception):
    """Why there is no measurement, in one line."""


class EqualStep(Step):
    """Equal weights: one backward pass of the sum of all."""

    def __init__(self, shape):
        super().__init__(shape)
        self.is_coupled = shape.coupling == "soft_sharing"

    def losses(self, rows):
        """The output of the trunk, and the loss of every task."""
        h, y = self.net["trunk"](self.x[rows]), self.y[rows]
        return h, [cross_entropy(head(h), y[:, i]) for i, head in enumerate(self.net["heads"])]

    def penalty(self):
        """The soft sharing as a list of one term, or of none."""
        return [STRENGTH * sharing(self.net["heads"])] if self.is_coupled else []

    def loss_of(self, rows):
        return sum(self.losses(rows)[1] + self.penalty())

    def penalize(self):
        """Gives the heads the gradients of the soft sharing."""
        for term in self.penalty():
            term.backward()


class JacobianStep(EqualStep):
    """TorchJD's Jacobian of the tasks' losses by the trunk's parameters, and an aggregator of its
    rows. Heads get the gradients of their own losses."""

    def __init__(self, shape, method):
        super().__init__(shape)
        from torchjd import autojac

        self.mtl_backward, self.jac_to_grad = autojac.mtl_backward, autojac.jac_to_grad
        self.aggregator = torchjd_method(method, shape.heads)
        self.shared = list(self.net["trunk"].parameters())
        self.own = [list(head.parameters()) for head in self.net["heads"]]

    def update(self, rows):
        h, losses = self.losses(rows)
        self.penalize()
        self.mtl_backward(losses, h, tasks_params=self.own, shared_params=self.shared)
        self.jac_to_grad(self.shared, self.aggregator)
        self.adam.step()


class GramianStep(EqualStep):
    """TorchJD's Gram matrix of the same Jacobian, which is never whole in memory, and weights of
    the losses from it. So the weights are those of the heads' gradients too."""

    def __init__(self, shape, method):
        super().__init__(shape)
        from torchjd.autogram import Engine

        self.engine = Engine(self.net["trunk"], batch_dim=None)
        self.weighting = torchjd_method(method + "Weighting", shape.heads)

    def update(self, rows):
        losses = torch.stack(self.losses(rows)[1])
        weights = self.weighting(self.engine.compute_gramian(losses))
        penalty = self.penalty()
        torch.autograd.backward([losses, *penalty], [weights, *(None for _ in penalty)])
        self.adam.step()


def torchjd_method(name, heads):
    """An aggregator or a weighting with its defaults; CAGrad, which has none, gets LibMTL's."""
    from torchjd import aggregation

    flags = {"CAGrad": {"c": 0.5}, "CAGradWeighting": {"c": 0.5}, "NashMTL": {"n_tasks": heads}}
    return getattr(aggregation, name)(**flags.get(name, {}))


class LibMTLStep(EqualStep):
    """The step of LibMTL's `Trainer`, with its model of a shared trunk. Heads get the gradients of
    their own losses, except where a method weighs the losses themselves."""

    def __init__(self, shape, method, way):
        super().__init__(shape)
        architecture = libmtl("architecture", "HPS")
        weighting = libmtl("weighting", method)
        if method == "Nash_MTL" and importlib.util.find_spec("ecos") is None:
            raise Failure("ecos is missing, and without it Nash_MTL solves nothing and is silent")

        class Model(architecture, weighting):
            pass

        tasks = [str(task) for task in range(shape.heads)]
        heads = nn.ModuleDict(zip(tasks, self.net["heads"]))
        rep_grad, multi_input = way.startswith("representation"), False
        device = torch.device(shape.device)
        trunk = self.net["trunk"]
        self.model = Model(tasks, lambda: trunk, heads, rep_grad, multi_input, device)
        self.model.init_param()
        # GradNorm compares with the losses of the first epoch, and begins in the second.
        self.model.epoch = 1
        self.model.train_loss_buffer = numpy.full((shape.heads, 1), math.log(CLASSES))
        self.flags = LIBMTL[method][1]
        self.adam = adam(self.model, shape.device)
        self.is_list = way.endswith("-list")
        self.looks_again = method == "FAMO"

    def losses_of(self, x, y):
        outputs = enumerate(self.model(x).values())
        losses = [cross_entropy(output, y[:, i]) for i, output in outputs]
        return losses if self.is_list else torch.stack(losses)

    def update(self, rows):
        x, y = self.x[rows], self.y[rows]
        losses = self.losses_of(x, y)
        self.penalize()
        self.model.backward(losses, **self.flags)
        self.adam.step()
        if self.looks_again:
            with torch.no_grad():
                self.model.update_w(self.losses_of(x, y))


def adam(net, device):
    cuda = device == "cuda"
    return torch.optim.Adam(net.parameters(), lr=1e-3, fused=True, capturable=cuda)


def libmtl(package, name):
    """A class of LibMTL, imported from the file of its name."""
    hollow_libmtl()
    return getattr(importlib.import_module(f"LibMTL.{package}.{name}"), name)


@functools.cache
def hollow_libmtl():
    """Puts empty packages in place of LibMTL's. These import everything that they hold, and with
    it torchvision, torch_geometric and more, which the balancers do not need."""
    found = importlib.util.find_spec("LibMTL")
    if found is None:
        raise Failure("LibMTL is not installed")
    folder = pathlib.Path(found.submodule_search_locations[0])
    if not (folder / "weighting" / "FAMO.py").exists():
        raise Failure("this LibMTL is the one on PyPI, which is older than its repository")
    for name in ["LibMTL", "LibMTL.architecture", "LibMTL.weighting"]:
        package = types.ModuleType(name)
        package.__path__ = [str(folder.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package


def steps():
    """Maps the name of each row to a function that makes its step."""
    found = {EQUAL: EqualStep}
    for method, has_weighting in TORCHJD.items():
        found[f"torchjd/{method}/jacobian"] = functools.partial(JacobianStep, method=method)
        if has_weighting:
            found[f"torchjd/{method}/gramian"] = functools.partial(GramianStep, method=method)
    for method, (ways, _) in LIBMTL.items():
        for way in ways:
            make = functools.partial(LibMTLStep, method=method, way=way)
            found[f"libmtl/{method}/{way}"] = make
    return found


def steps_in(seconds, ms):
    return max(1, int(1e3 * seconds / ms))


class Entry:
    """A row of the table for one number of heads, and its measurements."""

    def __init__(self, name, make, shape):
        self.name, self.heads, self.times, self.failure = name, shape.heads, [], None
        self.make, self.shape = make, shape

    def attempt(self, work, *arguments):
        """Does some work of a library, which may fail in any way."""
        if self.failure:
            return
        try:
            work(*arguments)
        except Failure as failure:
            self.failure = str(failure)
        except Exception as error:
            told = str(error).strip() or "no message"
            self.failure = f"{type(error).__name__}: {told.splitlines()[0][:150]}"

    def prepare(self, seconds):
        torch.manual_seed(0)
        random.seed(0)
        self.step = self.make(self.shape)
        self.start = [weights.detach().clone() for weights in self.step.net.parameters()]
        timed(self.step, 1)
        once = timed(self.step, 1)
        timed(self.step, min(WARM_UP, steps_in(seconds, once)))
        quickest = min(timed(self.step, min(3, steps_in(seconds, once))) for _ in range(3))
        self.count = steps_in(seconds, quickest)

    def measure(self):
        with torch.no_grad():
            for weights, first in zip(self.step.net.parameters(), self.start):
                weights.copy_(first)
        self.times.append(timed(self.step, self.count))
        if not all(weights.isfinite().all() for weights in self.step.net.parameters()):
            raise Failure("its weights are not finite")

    def ms(self):
        return statistics.median(self.times)


def measured(options):
    """The entries of every number of heads: {heads: [entry]}, equal weights first."""
    found = {}
    for heads in options.heads:
        shape = argparse.Namespace(
            batch=BATCH,
            width=WIDTH,
            inputs=INPUTS,
            heads=heads,
            rows=ROWS,
            mode="eager",
            device=options.device,
            coupling=options.coupling,
        )
        made = [Entry(name, make, shape) for name, make in options.methods.items()]
        for entry in made:
            entry.attempt(entry.prepare, options.seconds)
            say(f"{heads} heads {entry.name}: {entry.failure or 'ready'}")
        for number in range(1, options.rounds + 1):
            say(f"{heads} heads: round {number} of {options.rounds}")
            for entry in made:
                entry.attempt(entry.measure)
        for entry in made:
            entry.step = None
        found[heads] = made
    return found


def cells(entry, equal):
    """The time of an entry and the factor, as cells of the table."""
    if entry.failure:
        return [f"not measured: {entry.failure}".replace("|", "\\|"), "–"]
    spread = f" ({min(entry.times):.3g} to {max(entry.times):.3g})" if len(entry.times) > 1 else ""
    factor = "–" if equal.failure else f"{entry.ms() / equal.ms():.2f}"
    return [f"{entry.ms():.3g}{spread}", factor]


def table(found):
    titles = ["balancer", *(title for heads in found for title in (f"{heads} heads: ms", "factor"))]
    lines = [titles, ["---"] * len(titles)]
    for entries in zip(*found.values()):
        pairs = (cells(entry, made[0]) for entry, made in zip(entries, found.values()))
        lines.append([entries[0].name, *(cell for pair in pairs for cell in pair)])
    return ["| " + " | ".join(line) + " |" for line in lines]


def version(package):
    """The version of an installed package, with its commit if it came from a repository."""
    try:
        about = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
    source = json.loads(about.read_text("direct_url.json") or "{}")
    commit = source.get("vcs_info", {}).get("commit_id")
    return about.version + (f" of commit {commit[:12]}" if commit else "")


def facts(options, before):
    """Under which conditions was measured: {name: text}."""
    place = (
        torch.cuda.get_device_name()
        if options.device == "cuda"
        else f"CPU, {torch.get_num_threads()} threads"
    )
    return {
        "step": f"{INPUTS}-{WIDTH}-{WIDTH}, batch {BATCH}, coupling {options.coupling}",
        "torch": f"{torch.__version__} on {place}",
        "TorchJD": version("torchjd"),
        "LibMTL": version("LibMTL"),
        "rounds": f"{options.rounds} of about {options.seconds:g} s a row",
        "load": f"{before} at the start, {load()} at the end",
    }


def load():
    """The load of the machine in the last minute."""
    return f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"


def patterns(text):
    """Those of `steps` whose names fit one of the patterns, and equal weights."""
    every, chosen = steps(), [EQUAL]
    for pattern in filter(None, map(str.strip, text.lower().split(","))):
        fitting = [name for name in every if fnmatch.fnmatchcase(name.lower(), pattern)]
        if not fitting:
            raise argparse.ArgumentTypeError(f"{pattern} fits no row; --list shows them")
        chosen += fitting
    return {name: make for name, make in every.items() if name in chosen}


def say(text):
    print(text, file=sys.stderr, flush=True)


def count(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1")
    return int(text)


def counts(text):
    return list(dict.fromkeys(count(part.strip()) for part in text.split(",")))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--device", choices=["cpu", "cuda"], default="cpu")
    add("--heads", metavar="LIST", type=counts, default=[2, 8, 32], help="default: 2,8,32")
    add("--methods", metavar="PATTERNS", type=patterns, default=steps(), help="default: all")
    add("--list", action="store_true", help="print the names of the rows and end")
    add("--coupling", choices=["soft_sharing", "none"], default="soft_sharing")
    add("--rounds", metavar="N", type=count, default=5, help="default: 5")
    add("--seconds", metavar="S", type=float, default=0.5, help="default: 0.5")
    add("--threads", metavar="N", type=count, help="of torch on the CPU")
    add("--json", metavar="FILE", type=pathlib.Path, help="write the raw figures there")
    return parser.parse_args()


def raw(found, about):
    keys = ["name", "heads", "times", "failure"]
    entries = [{key: getattr(e, key) for key in keys} for made in found.values() for e in made]
    return {**about, "entries": entries}


def main():
    options, before = arguments(), load()
    if options.list:
        print("\n".join(options.methods))
        return
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.set_float32_matmul_precision("highest")
    found = measured(options)
    about = facts(options, before)
    lines = [*(f"- {name}: {value}" for name, value in about.items()), "", *table(found)]
    print("\n".join(lines))
    if options.json:
        options.json.write_text(json.dumps(raw(found, about), indent=2) + "\n")


if __name__ == "__main__":
    main()
