"""Fifty training steps in PyTorch with balanced tasks: independent numbers to compare tandem's
engines with.

python3 balance_training.py [CASE ...]  writes balance_CASE.safetensors and balance_CASE.json beside
                                        this file, for every case below or for those named

Data, optimizers and files are those of trajectory.py; `balance` and `train` are the tables of these
names. The solves are those of balance.py, and need what it needs; what TorchJD has too is compared
with it. Beside the values of trajectory.py a file has `losses` and `weights`, with a row for each
step and a column for each task: the losses without weights, and what a balancer multiplies `weight`
times the loss with, in the whole step or, with a method on gradients, in shared layers alone. Where
couplings are balanced, `weights` has a last column for their sum. `loss` is the sum of `weight`
times the losses and of the couplings, which is not balanced.

The files hold the run in float64; a run in float32 from the same start is only compared with it.
"""

import json
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F
import torchjd.aggregation as jd
from safetensors.numpy import save_file

import balance
from architectures import random_bits
from trajectory import (
    ACTIVATIONS,
    ADAM,
    HERE,
    OPTIMIZER,
    STEPS,
    agreement,
    coupling,
    dense,
    learning_rate,
    logits,
    make_data,
    make_optimizer,
    make_parameters,
    task,
)

TASKS = ["a", "b", "c"]
EPOCH = 5  # steps of an epoch, where a batch does not have all rows


def make_case(seed, table, layers=(12, 8), rows=60, inputs=8, batches=1, couplings=(), **optimizer):
    """Three tasks on a trunk of two layers, the second of them with a tower."""
    return {
        "seed": seed,
        "rows": rows,
        "inputs": inputs,
        "trunk": {"layers": list(layers), "activation": "silu"},
        "tasks": [
            task("a", 4, activation="silu", weight=0.75),
            task("b", 4, [6], "silu", 1.5),
            task("c", 3, activation="silu", weight=0.5),
        ],
        "couplings": list(couplings),
        "optimizer": {
            **OPTIMIZER,
            **ADAM,
            "kind": "adam",
            "learning_rate": 1e-2,
            **optimizer,
        },
        "balance": table,
        "train": {
            "epochs": STEPS // batches,
            "batch_size": "full" if batches == 1 else rows // batches,
        },
    }


# In these cases the tasks are in conflict and the solves of `upgrad`, `mgda`, `cagrad` and
# `dual_proj` change from step to step which inequalities hold as equations: seeds and widths were
# chosen so.
CASES = {
    "upgrad": make_case(414, {"method": "upgrad", "space": "parameters"}),
    "upgrad_representation": make_case(
        404, {"method": "upgrad", "space": "representation"}, layers=[12, 3]
    ),
    "mgda": make_case(416, {"method": "mgda", "space": "parameters"}),
    "cagrad_representation": make_case(
        422, {"method": "cagrad", "space": "representation", "c": 0.4}
    ),
    "nash_mtl": make_case(305, {"method": "nash_mtl", "space": "parameters", "max_norm": 1.0}),
    "imtl_g": make_case(306, {"method": "imtl_g", "space": "parameters"}),
    "aligned_mtl_representation": make_case(
        307, {"method": "aligned_mtl", "space": "representation", "scale": "min"}
    ),
    "config": make_case(308, {"method": "config", "space": "parameters"}),
    "dual_proj_representation": make_case(
        407, {"method": "dual_proj", "space": "representation"}, layers=[8, 2]
    ),
    "log": make_case(310, {"method": "log"}),
    "geometric": make_case(311, {"method": "geometric"}),
    "uncertainty": make_case(312, {"method": "uncertainty"}, schedule="cosine"),
    "imtl_l": make_case(313, {"method": "imtl_l"}, weight_decay=0.01),
    "dwa": make_case(314, {"method": "dwa", "temperature": 2.0}, batches=EPOCH),
    "stch": make_case(315, {"method": "stch", "smoothing": 1.0}),
    "famo": make_case(316, {"method": "famo", "learning_rate": 0.025, "decay": 0.01}),
    "rows": make_case(
        420,
        {"method": "upgrad", "space": "parameters"},
        layers=[24, 16],
        rows=12,
        inputs=40,
        learning_rate=2e-3,
    ),
    "couplings": make_case(
        417,
        {"method": "upgrad", "space": "parameters", "couplings": "balanced"},
        couplings=[coupling("agreement", 0.7, "ab")],
    ),
    "couplings_representation": make_case(
        418,
        {
            "method": "aligned_mtl",
            "space": "representation",
            "scale": "min",
            "couplings": "balanced",
        },
        couplings=[coupling("agreement", 0.7, "ab")],
    ),
    "couplings_added": make_case(
        419,
        {"method": "imtl_g", "space": "parameters"},
        couplings=[coupling("agreement", 0.7, "ab")],
    ),
}


def trunk(p, case, x):
    act = ACTIVATIONS[case["trunk"]["activation"]]
    for i in range(len(case["trunk"]["layers"])):
        x = act(dense(p, f"trunk.{i}", x))
    return x


def head_losses(p, case, features, y):
    """The losses of the tasks, without their weights, and the values of the couplings, without
    their strengths, from what the trunk gives them."""
    heads = {**case, "trunk": {**case["trunk"], "layers": []}}
    z = logits(p, heads, features)
    losses = torch.stack([F.cross_entropy(z[t], y[:, i]) for i, t in enumerate(TASKS)])
    return losses, [agreement(z[a], z[b]) for c in case["couplings"] for a, b in c["pairs"]]


def strengths(case):
    return [c["strength"] for c in case["couplings"] for _ in c["pairs"]]


# Methods on gradients.


def solved(method, settings, jacobian):
    """The weights of the rows of a Jacobian. Its triangular factor has the same products. `upgrad`
    and `dual_proj` do not depend on its scale, and TorchJD's absolute limits are not ours."""
    j = np.linalg.qr(jacobian.T, mode="r").T
    scaled = j / np.linalg.norm(j)
    rows = balance.Rows(scaled if method in ("upgrad", "dual_proj") else j)
    if method in ("upgrad", "dual_proj"):
        found = getattr(balance, method)(rows, balance.regularised(rows))
        found = (found[0], True)
    elif method == "cagrad":
        found = balance.cagrad(rows, settings["c"])
    elif method == "nash_mtl":
        assert settings["max_norm"] == balance.NASH_MAX_NORM
        found = balance.nash_mtl(rows, balance.stationary(rows))
    elif method == "aligned_mtl":
        found = balance.aligned_mtl(rows, settings["scale"])
    else:
        found = getattr(balance, method)(rows)
    assert found is not None and found[1], f"{method} does not fix the weights"
    return balance.rounded(found[0])


def torchjd_direction(method, jacobian):
    """What TorchJD finds for a Jacobian of size 1, where it has the method exactly."""
    methods = {
        "upgrad": jd.UPGrad,
        "dual_proj": jd.DualProj,
        "imtl_g": jd.IMTLG,
        "aligned_mtl": jd.AlignedMTL,
        "config": jd.ConFIG,
    }
    if method not in methods:
        return None
    return methods[method]()(torch.tensor(jacobian / np.linalg.norm(jacobian))).numpy()


def jacobian_of(values, inputs):
    """The gradients of values with respect to tensors, one row for each value."""
    rows = [torch.autograd.grad(value, inputs, retain_graph=True) for value in values]
    return np.array([np.concatenate([g.double().numpy().ravel() for g in row]) for row in rows])


def gradients_by_tasks(p, case, x, y, weight):
    """Sets the gradients of all parameters. Returns losses, values of couplings, weights and the
    gap to TorchJD."""
    shared = [v for name, v in p.items() if name.startswith("trunk.")]
    features = trunk(p, case, x)
    losses, couplings = head_losses(p, case, features, y)
    table = case["balance"]
    objectives = weight * losses
    added = sum(s * c for s, c in zip(strengths(case), couplings))
    if table.get("couplings") == "balanced":
        objectives, added = torch.cat([objectives, added[None]]), 0
    by_parameters = table["space"] == "parameters"
    jacobian = jacobian_of(objectives, shared if by_parameters else [features])
    weights = solved(table["method"], table, jacobian)
    theirs = torchjd_direction(table["method"], jacobian)
    gap = 0.0
    if theirs is not None:
        ours = weights @ jacobian / np.linalg.norm(jacobian)
        gap = float(np.linalg.norm(theirs - ours) / np.linalg.norm(ours))
    total = (torch.tensor(weights, dtype=weight.dtype) * objectives).sum() + added
    own = [v for name, v in p.items() if not name.startswith("trunk.")]
    for v, g in zip(shared, torch.autograd.grad(total, shared, retain_graph=True)):
        v.grad = g
    for v, g in zip(own, torch.autograd.grad(objectives.sum() + added, own)):
        v.grad = g
    return losses.detach(), [c.item() for c in couplings], weights, gap


# Methods on losses. Each has the weights of a step from its losses, before the update; `after` is
# called after it, with the losses before and after it on the same rows.


class OnLosses:
    learned = None

    def __init__(self, case, weight):
        self.table = case["balance"]
        self.weight = weight

    def after(self, before, later):
        pass


class Log(OnLosses):
    def weights(self, losses):
        return 1 / losses


class Geometric(OnLosses):
    def weights(self, losses):
        return losses.log().mean().exp() / (len(losses) * losses)


class Learned(OnLosses):
    """Numbers s, learned by the optimizer of the run."""

    def __init__(self, case, weight):
        super().__init__(case, weight)
        self.learned = torch.zeros_like(weight, requires_grad=True)

    def weights(self, losses):
        s = self.learned
        (s.grad,) = torch.autograd.grad(self.total(s, losses), s)
        return self.of(s.detach().clone())


class Uncertainty(Learned):
    def total(self, s, losses):
        return (torch.exp(-s) * losses / 2 + s / 2).sum()

    def of(self, s):
        return torch.exp(-s) / 2


class ImtlL(Learned):
    def total(self, s, losses):
        return (torch.exp(s) * losses - s).sum()

    def of(self, s):
        return torch.exp(s)


class Dwa(OnLosses):
    def __init__(self, case, weight):
        super().__init__(case, weight)
        self.seen = []

    def weights(self, losses):
        epoch = len(self.seen) // EPOCH
        self.seen.append(losses)
        if epoch < 2:
            return torch.ones_like(losses)
        last, before = (
            torch.stack(self.seen[(epoch - n) * EPOCH : (epoch - n + 1) * EPOCH]).mean(0)
            for n in (1, 2)
        )
        return len(losses) * torch.softmax(last / before / self.table["temperature"], 0)


class Stch(OnLosses):
    """The slope of the scalarization by a loss is preference times softmax; the preferences are
    weights divided by their sum."""

    def weights(self, losses):
        preference = self.weight / self.weight.sum()
        share = torch.softmax(preference * losses / self.table["smoothing"], 0)
        return preference * share / self.weight


class Famo(OnLosses):
    def __init__(self, case, weight):
        super().__init__(case, weight)
        self.xi = torch.zeros_like(weight, requires_grad=True)
        self.adam = torch.optim.Adam(
            [self.xi], lr=self.table["learning_rate"], weight_decay=self.table["decay"]
        )

    def weights(self, losses):
        share = torch.softmax(self.xi.detach(), 0) / (losses + 1e-8)
        return share / share.sum()

    def after(self, before, later):
        z = torch.softmax(self.xi, 0)
        self.adam.zero_grad()
        (z * ((before + 1e-8).log() - (later + 1e-8).log())).sum().backward()
        self.adam.step()


ON_LOSSES = {
    "log": Log,
    "geometric": Geometric,
    "uncertainty": Uncertainty,
    "imtl_l": ImtlL,
    "dwa": Dwa,
    "stch": Stch,
    "famo": Famo,
}


def permutation(count, epoch):
    """The order of the rows in an epoch, counted from 0; the run's seed is 0."""
    purpose = 1
    order = list(range(count))
    for i in range(count - 1, 0, -1):
        drawn = random_bits(0, purpose, epoch, i) * (i + 1) >> 64
        order[i], order[drawn] = order[drawn], order[i]
    return order


def batch(case, step):
    """The rows of a step."""
    size = case["train"]["batch_size"]
    if size == "full":
        return list(range(case["rows"]))
    epoch, place = divmod(step, case["rows"] // size)
    return permutation(case["rows"], epoch)[place * size : (place + 1) * size]


def train(case, x, y, initial, dtype):
    """Returns the values of every step before its update, losses and weights, the largest gap to
    TorchJD, and the parameters after the last step."""
    x, y = torch.tensor(x, dtype=dtype), torch.tensor(y, dtype=torch.int64)
    p = {name: torch.tensor(v, dtype=dtype, requires_grad=True) for name, v in initial.items()}
    weight = torch.tensor([t["weight"] for t in case["tasks"]], dtype=dtype)
    o = case["optimizer"]
    optimizer = make_optimizer(p, o)
    kind = ON_LOSSES.get(case["balance"]["method"])
    method = kind and kind(case, weight)
    if method and method.learned is not None:
        optimizer.add_param_group({"params": [method.learned], "weight_decay": 0.0})
    log = {
        "loss": [],
        "task_loss": {t: [] for t in TASKS},
        "coupling": [[] for _ in strengths(case)],
        "learning_rate": [],
        "gradient_norm": [],
    }
    losses_of_steps, weights_of_steps, largest = [], [], 0.0
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(o, step)
        optimizer.zero_grad()
        rows = batch(case, step)
        bx, by = x[rows], y[rows]
        if method:
            values, couplings = head_losses(p, case, trunk(p, case, bx), by)
            losses = values.detach()
            weights = method.weights(losses)
            (weights * weight * values).sum().backward()
            weights = weights.double().numpy()
        else:
            losses, couplings, weights, gap = gradients_by_tasks(p, case, bx, by, weight)
            largest = max(largest, gap)
        # This returns the norm before clipping.
        norm = torch.nn.utils.clip_grad_norm_(p.values(), o["clip_norm"] or math.inf)
        optimizer.step()
        if method:
            with torch.no_grad():
                later, _ = head_losses(p, case, trunk(p, case, bx), by)
            method.after(losses, later)
        added = sum(s * c for s, c in zip(strengths(case), couplings))
        log["loss"].append((weight * losses).sum().item() + added)
        for row, value in zip(log["coupling"], couplings):
            row.append(value)
        for t, value in zip(TASKS, losses.tolist()):
            log["task_loss"][t].append(value)
        log["learning_rate"].append(learning_rate(o, step))
        log["gradient_norm"].append(norm.item())
        losses_of_steps.append(losses.double().numpy())
        weights_of_steps.append(weights)
    final = {name: v.detach().double().numpy() for name, v in p.items()}
    return log, np.array(losses_of_steps), np.array(weights_of_steps), largest, final


def save(name, case):
    rng = np.random.default_rng(case["seed"])
    x, y = make_data(case, rng)
    initial = make_parameters(case, rng)
    log, losses, weights, gap, final = train(case, x, y, initial, torch.float64)
    log32, _, weights32, _, final32 = train(case, x, y, initial, torch.float32)
    flat, flat32 = (np.concatenate([f[k].ravel() for k in initial]) for f in (final, final32))
    loss, loss32 = np.array(log["loss"]), np.array(log32["loss"])
    sizes = np.linalg.norm(weights, axis=1)
    deviation = {
        "loss": float((abs(loss32 - loss) / abs(loss)).max()),
        "parameters": float(np.linalg.norm(flat32 - flat) / np.linalg.norm(flat)),
        "weights": float((np.linalg.norm(weights32 - weights, axis=1) / sizes).max()),
    }
    assert gap < 1e-9, f"TorchJD's direction is {gap} away"
    tensors = {"features": x, "labels": y, "losses": losses, "weights": weights}
    tensors |= {f"initial.{k}": v for k, v in initial.items()}
    tensors |= {f"final.{k}": v.astype(np.float32) for k, v in final.items()}
    path = HERE / f"{name}.safetensors"
    save_file(tensors, path)
    path.chmod(0o644)
    record = {"name": name, "steps": STEPS, **case, "float32_deviation": deviation, **log}
    del record["seed"]
    (HERE / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    print(
        f"{name}: loss {loss[0]:.6f} -> {loss[-1]:.6f}, weights "
        f"{np.array2string(weights[0], precision=4)} -> {np.array2string(weights[-1], precision=4)}"
        f", TorchJD's direction at most {gap:.1e} away, float32 deviates by "
        f"{deviation['loss']:.1e} (loss), {deviation['parameters']:.1e} (parameters), "
        f"{deviation['weights']:.1e} (weights)",
        flush=True,
    )


def main():
    torch.set_num_threads(1)
    for name in sys.argv[1:] or CASES:
        save(f"balance_{name}", CASES[name])


if __name__ == "__main__":
    main()
