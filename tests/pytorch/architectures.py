"""Fifty full-batch training steps in PyTorch of the architectures that are not one shared trunk:
independent numbers to compare tandem's engines with.

python3 architectures.py [CASE ...]     writes arch_CASE.safetensors and arch_CASE.json beside
                                        this file, for every case below or for those named

Data, optimizers and files are those of trajectory.py. `trunk.layers` are the layers of one expert
or one column. The files hold the run in float64; a run in float32 from the same start is only
compared with it.
"""

import json
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

from trajectory import (
    ACTIVATIONS,
    ADAM,
    HERE,
    OPTIMIZER,
    STEPS,
    agreement,
    coupling,
    learning_rate,
    make_data,
    make_optimizer,
    task,
)

# No value may come nearer to an end of the smooth step in float64. Where one does, choose another
# seed.
END_DISTANCE = 1e-4

SGD = {"kind": "sgd", "momentum": 0.9, "nesterov": False}


def three_tasks(activation, towers=None):
    """Tasks a, b and c; `towers` has the layers of those that have a tower."""
    classes, weights = {"a": 4, "b": 4, "c": 3}, {"a": 0.7, "b": 1.4, "c": 1.0}
    layers = towers or {}
    return [
        task(name, classes[name], layers.get(name, ()), activation, weights[name])
        for name in classes
    ]


def make_case(
    seed, activation, architecture, optimizer, rows=72, inputs=9, towers=None, agree=False
):
    return {
        "seed": seed,
        "rows": rows,
        "inputs": inputs,
        "trunk": {"layers": [16, 12], "activation": activation},
        "tasks": three_tasks(activation, towers),
        "couplings": [coupling("agreement", 0.2, "ab")] if agree else [],
        "optimizer": {**OPTIMIZER, **optimizer},
        "architecture": architecture,
    }


CASES = {
    "separate": make_case(
        201,
        "tanh",
        {"kind": "separate"},
        {
            **ADAM,
            "kind": "adamw",
            "learning_rate": 1e-2,
            "weight_decay": 0.05,
            "schedule": "cosine",
        },
    ),
    "mmoe": make_case(
        202,
        "silu",
        {"kind": "mmoe", "experts": 3},
        {**ADAM, "kind": "adam", "learning_rate": 1e-2},
        rows=80,
        inputs=10,
        agree=True,
    ),
    "omoe": make_case(
        203,
        "tanh",
        {"kind": "mmoe", "experts": 3, "gates": "one"},
        {**SGD, "learning_rate": 0.05, "weight_decay": 1e-3, "clip_norm": 0.8},
        rows=64,
        inputs=8,
    ),
    "cgc": make_case(
        204,
        "silu",
        {"kind": "cgc", "experts": 2, "task_experts": 2},
        {
            **ADAM,
            "kind": "adamw",
            "learning_rate": 1e-2,
            "weight_decay": 0.1,
            "decay_biases": False,
            "schedule": "cosine",
        },
        towers={"a": [6], "c": [6]},
        agree=True,
    ),
    "ple": make_case(
        205,
        "silu",
        {"kind": "ple", "experts": 2, "task_experts": 1, "levels": 2},
        {**ADAM, "kind": "adam", "learning_rate": 1e-2, "weight_decay": 0.01},
        rows=60,
        agree=True,
    ),
    "cross_stitch": make_case(
        206,
        "tanh",
        {"kind": "cross_stitch", "own": 0.9, "learning_rate_factor": 5.0},
        {**ADAM, "kind": "adam", "learning_rate": 5e-3},
        rows=96,
        inputs=8,
    ),
    "mtan": make_case(
        207,
        "silu",
        {"kind": "mtan"},
        {**ADAM, "kind": "adam", "learning_rate": 1e-2, "warmup_steps": 10},
        rows=90,
        inputs=10,
    ),
    "dselect_k_row": make_case(
        58,
        "silu",
        {
            "kind": "dselect_k",
            "experts": 4,
            "select": 2,
            "gates": "row",
            "smooth": 1.0,
            "entropy": 0.125,
        },
        {**ADAM, "kind": "adam", "learning_rate": 2**-8},
    ),
    "dselect_k_task": make_case(
        209,
        "tanh",
        {
            "kind": "dselect_k",
            "experts": 3,
            "select": 2,
            "gates": "task",
            "smooth": 1.0,
            "entropy": 0.1,
        },
        {
            **ADAM,
            "kind": "adamw",
            "learning_rate": 1e-2,
            "weight_decay": 0.1,
            "decay_biases": False,
            "schedule": "cosine",
        },
    ),
    "branched": make_case(
        1081,
        "relu",
        {"kind": "branched", "branches": [[["a", "b", "c"]], [["a", "b"], ["c"]]]},
        {**SGD, "learning_rate": 0.02, "nesterov": True},
        rows=60,
        inputs=8,
    ),
    "branched_learned": make_case(
        211,
        "silu",
        {"kind": "branched", "learn": True, "temperature": [2.0, 0.2]},
        {**SGD, "learning_rate": 0.05, "weight_decay": 1e-2},
        agree=True,
    ),
}


class Network:
    """A forward pass of a case over its parameters. Where it has a random generator, it makes a
    parameter when it first needs it."""

    def __init__(self, case, parameters, step=0, rng=None):
        self.parameters = parameters
        self.widths = case["trunk"]["layers"]
        self.activation = ACTIVATIONS[case["trunk"]["activation"]]
        self.tanh = case["trunk"]["activation"] == "tanh"
        self.tasks = [t["name"] for t in case["tasks"]]
        self.settings = case["architecture"]
        self.step = step
        self.rng = rng
        self.gate_entropy = None

    def parameter(self, name, make):
        if self.rng is not None and name not in self.parameters:
            values = np.asarray(make(self.rng), dtype=np.float32)
            self.parameters[name] = torch.tensor(values, dtype=torch.float64)
        return self.parameters[name]

    def linear(self, name, x, outputs, scale=None, bias=0.2):
        """Weights of He or Xavier size if nothing else is said; biases are not zero, so that a
        mistake in a bias shows."""
        inputs = x.shape[1]
        scale = scale or math.sqrt(2 / (inputs + outputs) if self.tanh else 2 / inputs)
        w = self.parameter(
            f"{name}.weight", lambda rng: scale * rng.standard_normal((outputs, inputs))
        )
        b = self.parameter(f"{name}.bias", lambda rng: bias * rng.standard_normal(outputs))
        return x @ w.T + b

    def dense(self, name, x, outputs):
        return self.activation(self.linear(name, x, outputs))

    def chain(self, prefix, x):
        """The trunk's layers, one after another: an expert or a column."""
        for i, width in enumerate(self.widths):
            x = self.dense(f"{prefix}.{i}", x, width)
        return x

    def experts(self, prefix, count, x):
        return [self.chain(f"{prefix}.{e}", x) for e in range(count)]

    def gate(self, name, x, values):
        """A mix of values with weights that depend on the row."""
        return mix(torch.softmax(self.linear(name, x, len(values)), dim=1), values)


def mix(weights, values):
    """The sum of values [N, W] with one weight each, for all rows [V] or for each row [N, V]."""
    return sum(weights[..., i, None] * value for i, value in enumerate(values))


# Every architecture below returns what the heads of the tasks read, {task: feature [N, W]}.


def separate(net, x):
    return {t: net.chain(f"task.{t}.trunk", x) for t in net.tasks}


def mmoe(net, x):
    experts = net.experts("expert", net.settings["experts"], x)
    if net.settings.get("gates") == "one":
        return dict.fromkeys(net.tasks, net.gate("gate", x, experts))
    return {t: net.gate(f"task.{t}.gate", x, experts) for t in net.tasks}


def extraction(net, prefix, x, shared_x, top):
    """A level of shared experts and experts of the tasks. Returns the tasks' mixes, and below the
    top the shared experts' mix."""
    shared = net.experts(f"{prefix}expert", net.settings["experts"], shared_x)
    own = {
        t: net.experts(f"task.{t}.{prefix}expert", net.settings["task_experts"], x[t])
        for t in net.tasks
    }
    mixes = {t: net.gate(f"task.{t}.{prefix}gate", x[t], own[t] + shared) for t in net.tasks}
    if top:
        return mixes, None
    everyone = [expert for t in net.tasks for expert in own[t]] + shared
    return mixes, net.gate(f"{prefix}gate", shared_x, everyone)


def cgc(net, x):
    mixes, _ = extraction(net, "", dict.fromkeys(net.tasks, x), x, top=True)
    return mixes


def ple(net, x):
    levels = net.settings["levels"]
    mixes, shared = dict.fromkeys(net.tasks, x), x
    for level in range(levels):
        mixes, shared = extraction(net, f"level.{level}.", mixes, shared, level == levels - 1)
    return mixes


def cross_stitch(net, x):
    own, others = net.settings["own"], (1 - net.settings["own"]) / (len(net.tasks) - 1)
    columns = dict.fromkeys(net.tasks, x)
    for layer, width in enumerate(net.widths):
        outputs = {
            t: net.dense(f"task.{t}.trunk.{layer}", columns[t], width) for t in net.tasks
        }
        for t in net.tasks:
            start = [own if other == t else others for other in net.tasks]
            stitch = net.parameter(f"task.{t}.stitch.{layer}.weight", lambda rng: start)
            columns[t] = mix(stitch, outputs.values())
    return columns


def mtan(net, x):
    masked = {}
    for layer, width in enumerate(net.widths):
        x = net.dense(f"trunk.{layer}", x, width)
        for t in net.tasks:
            name = f"task.{t}.mask.{layer}"
            z = net.linear(f"{name}.shared", x, width)
            if layer > 0:
                z = z + net.linear(f"{name}.previous", masked[t], width)
            masked[t] = torch.sigmoid(z) * x
    return masked


def smooth_step(t, width):
    """Rises from 0 at -width / 2 to 1 at width / 2 as a polynomial of third degree."""
    if t.dtype == torch.float64:
        distance = (t.abs() - width / 2).abs().min()
        assert distance > END_DISTANCE, distance
    inner = -2 / width**3 * t**3 + 3 / (2 * width) * t + 0.5
    return torch.where(t <= -width / 2, 0.0, torch.where(t >= width / 2, 1.0, inner))


def selectors(z, experts, width):
    """What a selector gives each expert [..., experts], from its values z [..., m]: the product
    over the bits of the expert's number."""
    s = smooth_step(z, width)
    numbers = torch.arange(experts)
    product = torch.ones(())
    for j in range(z.shape[-1]):
        bit = (numbers >> j) & 1
        product = product * torch.where(bit == 1, s[..., j, None], 1 - s[..., j, None])
    return product


def selector_entropy(r):
    """Of one selector, a value for all rows or one each. The sum of r is 1 where the number of
    experts is a power of two; elsewhere a penalty keeps it away from 0."""
    entropy = -(r * torch.log(r + 1e-6)).sum(-1)
    count = r.shape[-1]
    return entropy if count & (count - 1) == 0 else entropy + 1 / (r.sum(-1) + 1e-6) - 1


def dselect_k(net, x):
    settings = net.settings
    count, select = settings["experts"], settings["select"]
    bits = math.ceil(math.log2(count))
    width = select + select * bits
    experts = net.experts("expert", count, x)
    features, entropy = {}, 0.0
    for t in net.tasks:
        name = f"task.{t}.gate"
        if settings["gates"] == "row":
            raw = net.linear(name, x, width, scale=0.015, bias=0.04)
        else:
            raw = net.parameter(f"{name}.weight", lambda rng: 0.08 * rng.standard_normal(width))
        if net.rng is not None:
            assert 0 < raw.abs().min() and raw.abs().max() < settings["smooth"] / 4, raw
        share = torch.softmax(raw[..., :select], dim=-1)
        weights = 0.0
        for s in range(select):
            z = raw[..., select + s * bits : select + (s + 1) * bits]
            r = selectors(z, count, settings["smooth"])
            weights = weights + share[..., s, None] * r
            entropy = entropy + selector_entropy(r).mean()
        features[t] = mix(weights, experts)
    net.gate_entropy = entropy
    return features


def branched(net, x):
    return learned_branches(net, x) if net.settings.get("learn") else fixed_branches(net, x)


def fixed_branches(net, x):
    features = dict.fromkeys(net.tasks, x)
    for layer, (width, groups) in enumerate(zip(net.widths, net.settings["branches"])):
        for number, group in enumerate(groups):
            y = net.dense(f"branch.{layer}.{number}", features[group[0]], width)
            features |= dict.fromkeys(group, y)
    return features


def learned_branches(net, x):
    start, end = net.settings["temperature"]
    temperature = start * (end / start) ** (net.step / STEPS)
    count = len(net.tasks)
    choices = 0

    def parent(name, nodes):
        """A soft choice among the nodes of the layer below."""
        nonlocal choices
        theta = net.parameter(f"{name}.parent.weight", lambda rng: 0.3 * rng.standard_normal(count))
        noise = torch.tensor(gumbel(net.step, choices, count), dtype=theta.dtype)
        choices += 1
        return mix(torch.softmax((theta + noise) / temperature, dim=0), nodes)

    nodes = []
    for layer, width in enumerate(net.widths):
        below, nodes = nodes, []
        for j in range(count):
            name = f"branch.{layer}.{j}"
            nodes.append(net.dense(name, x if layer == 0 else parent(name, below), width))
    return {t: parent(f"task.{t}", nodes) for t in net.tasks}


U32 = 2**32 - 1
U64 = 2**64 - 1


def random_bits(seed, purpose, stream, index):
    """64 bits as a function of four numbers: SplitMix64's finaliser, once for each of them."""
    golden = 0x9E3779B97F4A7C15

    def finish(z):
        z &= U64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & U64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & U64
        return z ^ (z >> 31)

    h = finish(seed + golden)
    for part in (purpose, stream, index):
        h = finish((h + golden & U64) ^ finish(part + golden))
    return h


def pcg4d(a, b, c, d):
    """The first of four u32 (Jarzynski and Olano, "Hash Functions for GPU Rendering", 2020)."""
    a, b, c, d = ((v * 1664525 + 1013904223) & U32 for v in (a, b, c, d))
    for number in range(2):
        a = (a + b * d) & U32
        b = (b + c * a) & U32
        c = (c + a * b) & U32
        d = (d + b * c) & U32
        if number == 0:
            a, b, c, d = (v ^ (v >> 16) for v in (a, b, c, d))
    return a


def gumbel(step, choice, count):
    """The noise of a choice in a step, counted from 0; the run's seed is 0."""
    dropout = 3
    key = random_bits(0, dropout, step, 0)
    hashes = (pcg4d(i, U32, choice ^ (key & U32), key >> 32) for i in range(count))
    uniform = (((h >> 9) + 0.5) / 2**23 for h in hashes)
    return [-math.log(-math.log(u)) for u in uniform]


FEATURES = {
    "separate": separate,
    "mmoe": mmoe,
    "cgc": cgc,
    "ple": ple,
    "cross_stitch": cross_stitch,
    "mtan": mtan,
    "dselect_k": dselect_k,
    "branched": branched,
}


def logits(net, case, x):
    """Returns {task name: logits [N, C]}."""
    features = FEATURES[case["architecture"]["kind"]](net, x)
    out = {}
    for t in case["tasks"]:
        h = features[t["name"]]
        for i, width in enumerate(t["layers"]):
            h = net.dense(f"task.{t['name']}.{i}", h, width)
        out[t["name"]] = net.linear(f"task.{t['name']}.{len(t['layers'])}", h, t["classes"])
    return out


def objective(net, case, x, y):
    """Returns the total loss, the tasks' losses without their weights, and the couplings' values,
    one per pair, without their strengths."""
    z = logits(net, case, x)
    task_losses = {
        t["name"]: F.cross_entropy(z[t["name"]], y[:, i]) for i, t in enumerate(case["tasks"])
    }
    total = sum(t["weight"] * task_losses[t["name"]] for t in case["tasks"])
    values = []
    for c in case["couplings"]:
        for a, b in c["pairs"]:
            values.append(agreement(z[a], z[b]))
            total = total + c["strength"] * values[-1]
    if net.gate_entropy is not None:
        total = total + case["architecture"]["entropy"] * net.gate_entropy
    return total, task_losses, values


def make_parameters(case, x, rng):
    """The parameters in float32, by a first forward pass."""
    parameters = {}
    logits(Network(case, parameters, rng=rng), case, torch.tensor(x, dtype=torch.float64))
    return {name: v.numpy().astype(np.float32) for name, v in parameters.items()}


def optimizer_of(p, case):
    """A parameter with one dimension counts as a bias. Stitches learn faster."""
    plain, stitches = {}, []
    for name, v in p.items():
        if ".stitch." in name:
            stitches.append(v)
        else:
            plain[f"{name}.bias" if v.ndim == 1 else f"{name}.weight"] = v
    optimizer = make_optimizer(plain, case["optimizer"])
    if stitches:
        assert case["optimizer"]["weight_decay"] == 0
        factor = case["architecture"]["learning_rate_factor"]
        optimizer.add_param_group({"params": stitches, "weight_decay": 0.0, "factor": factor})
    return optimizer


def train(case, x, y, initial, dtype):
    """Returns the values of every step before its update, and the parameters after the last
    step."""
    x, y = torch.tensor(x, dtype=dtype), torch.tensor(y, dtype=torch.int64)
    p = {name: torch.tensor(v, dtype=dtype, requires_grad=True) for name, v in initial.items()}
    optimizer = optimizer_of(p, case)
    log = {
        "loss": [],
        "task_loss": {t["name"]: [] for t in case["tasks"]},
        "coupling": [[] for c in case["couplings"] for _ in c["pairs"]],
        "learning_rate": [],
        "gradient_norm": [],
    }
    if "entropy" in case["architecture"]:
        log["gate_entropy"] = []
    for step in range(STEPS):
        rate = learning_rate(case["optimizer"], step)
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("factor", 1.0)
        optimizer.zero_grad()
        net = Network(case, p, step)
        total, task_losses, values = objective(net, case, x, y)
        total.backward()
        # This returns the norm before clipping.
        clip_norm = case["optimizer"]["clip_norm"] or math.inf
        norm = torch.nn.utils.clip_grad_norm_(p.values(), clip_norm)
        optimizer.step()
        log["loss"].append(total.item())
        for name, value in task_losses.items():
            log["task_loss"][name].append(value.item())
        for row, value in zip(log["coupling"], values):
            row.append(value.item())
        log["learning_rate"].append(rate)
        log["gradient_norm"].append(norm.item())
        if net.gate_entropy is not None:
            log["gate_entropy"].append(net.gate_entropy.item())
    return log, {name: v.detach().double().numpy() for name, v in p.items()}


def run(case):
    """Returns the data, the initial parameters, the float64 run and the float32 run's deviation."""
    rng = np.random.default_rng(case["seed"])
    x, y = make_data(case, rng)
    initial = make_parameters(case, x, rng)
    log, final = train(case, x, y, initial, torch.float64)
    log32, final32 = train(case, x, y, initial, torch.float32)
    flat, flat32 = (np.concatenate([f[k].ravel() for k in initial]) for f in (final, final32))
    loss, loss32 = np.array(log["loss"]), np.array(log32["loss"])
    deviation = {
        "loss": float((abs(loss32 - loss) / abs(loss)).max()),
        "parameters": float(np.linalg.norm(flat32 - flat) / np.linalg.norm(flat)),
    }
    return x, y, initial, log, final, deviation


def save(name, case):
    x, y, initial, log, final, deviation = run(case)
    tensors = {"features": x, "labels": y}
    tensors |= {f"initial.{k}": v for k, v in initial.items()}
    tensors |= {f"final.{k}": v.astype(np.float32) for k, v in final.items()}
    save_file(tensors, HERE / f"{name}.safetensors")
    record = {"name": name, "steps": STEPS, **case, "float32_deviation": deviation, **log}
    del record["seed"]
    (HERE / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    clipped = sum(n > case["optimizer"]["clip_norm"] > 0 for n in log["gradient_norm"])
    print(
        f"{name}: loss {log['loss'][0]:.6f} -> {log['loss'][-1]:.6f}, "
        f"clipped in {clipped} steps, "
        f"float32 deviates by {deviation['loss']:.1e} (loss), "
        f"{deviation['parameters']:.1e} (parameters)"
    )


def main():
    torch.set_num_threads(1)
    for name in sys.argv[1:] or CASES:
        save(f"arch_{name}", CASES[name])


if __name__ == "__main__":
    main()
