"""Fifty full-batch training steps in PyTorch: independent numbers to compare tandem's engines with.

python3 trajectory.py        writes CASE.safetensors and CASE.json for every case below beside this
file

The files hold the run in float64. A run in float32 from the same start is only compared with it.
"""

import json
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
STEPS = 50

# No value may come nearer to the kink of relu, for rounding could then put it on the other side.
# Where one does, choose another seed.
KINK_DISTANCE = 5e-5


def relu(z):
    if z.dtype == torch.float64:
        assert z.abs().min() > KINK_DISTANCE, z.abs().min()
    return F.relu(z)


ACTIVATIONS = {
    "relu": relu,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "silu": F.silu,
}  # F.gelu is exact (erf) by default

OPTIMIZER = {
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "decay_biases": True,
    "clip_norm": 0.0,
    "schedule": "constant",
    "warmup_steps": 0,
}
ADAM = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}


def task(name, classes, layers=(), activation="relu", weight=1.0):
    return {
        "name": name,
        "type": "multiclass",
        "classes": classes,
        "layers": list(layers),
        "activation": activation,
        "weight": weight,
    }


def coupling(kind, strength, *pairs):
    return {"kind": kind, "strength": strength, "pairs": [list(pair) for pair in pairs]}


CASES = {
    "adam_relu": {
        "seed": 881,
        "rows": 96,
        "inputs": 12,
        "trunk": {"layers": [24, 16], "activation": "relu"},
        "tasks": [task("a", 4, weight=0.7), task("b", 4, weight=1.6)],
        "couplings": [coupling("soft_sharing", 0.05, "ab"), coupling("agreement", 0.3, "ab")],
        "optimizer": {**OPTIMIZER, **ADAM, "kind": "adam", "learning_rate": 1e-2},
    },
    "adamw_gelu_towers": {
        "seed": 102,
        "rows": 80,
        "inputs": 9,
        "trunk": {"layers": [16], "activation": "gelu"},
        "tasks": [
            task("x", 3, [12, 8], "gelu"),
            task("y", 3, [12, 8], "gelu"),
            task("z", 5, activation="gelu", weight=0.5),
        ],
        "couplings": [coupling("soft_sharing", 0.02, "xy"), coupling("agreement", 0.1, "xy")],
        "optimizer": {
            **OPTIMIZER,
            **ADAM,
            "kind": "adamw",
            "learning_rate": 5e-3,
            "weight_decay": 0.05,
            "schedule": "cosine",
        },
    },
    "sgd_tanh_clip": {
        "seed": 103,
        "rows": 64,
        "inputs": 7,
        "trunk": {"layers": [10, 11], "activation": "tanh"},
        "tasks": [task("p", 2, activation="tanh"), task("q", 6, activation="tanh")],
        "couplings": [],
        "optimizer": {
            **OPTIMIZER,
            "kind": "sgd",
            "momentum": 0.9,
            "nesterov": True,
            "learning_rate": 0.1,
            "weight_decay": 1e-3,
            "clip_norm": 0.5,
            "warmup_steps": 10,
        },
    },
    "adam_silu_notrunk": {
        "seed": 104,
        "rows": 50,
        "inputs": 6,
        "trunk": {"layers": [], "activation": "silu"},
        "tasks": [task("m", 3, [9], "silu"), task("n", 3, [9], "silu")],
        "couplings": [coupling("agreement", 0.5, "mn")],
        "optimizer": {
            **OPTIMIZER,
            "kind": "adam",
            "beta1": 0.8,
            "beta2": 0.95,
            "eps": 1e-6,
            "learning_rate": 2e-2,
            "weight_decay": 0.01,
            "decay_biases": False,
            "schedule": "step",
            "step_size": "20s",
            "gamma": 0.5,
        },
    },
}


def make_data(case, rng):
    """Returns standard normal features [N, I] and labels [N, T]: the class with the largest noisy
    linear score."""
    x = rng.standard_normal((case["rows"], case["inputs"])).astype(np.float32)
    columns = []
    for t in case["tasks"]:
        scores = x @ rng.standard_normal(
            (case["inputs"], t["classes"])
        ) + 0.7 * rng.standard_normal((case["rows"], t["classes"]))
        columns.append(scores.argmax(axis=1))
        assert len(set(columns[-1])) == t["classes"], "every class must occur"
    return x, np.stack(columns, axis=1).astype(np.int32)


def dense_layers(case):
    """Lists (name, inputs, outputs, activation) of every dense layer: the trunk's, then the heads'
    in task order."""
    layers, width = [], case["inputs"]
    for i, out in enumerate(case["trunk"]["layers"]):
        layers.append((f"trunk.{i}", width, out, case["trunk"]["activation"]))
        width = out
    for t in case["tasks"]:
        fan_in = width
        for i, out in enumerate(t["layers"] + [t["classes"]]):
            layers.append((f"task.{t['name']}.{i}", fan_in, out, t["activation"]))
            fan_in = out
    return layers


def make_parameters(case, rng):
    """Weights of He or Xavier size; biases are not zero, so that a mistake in a bias shows."""
    parameters = {}
    for name, fan_in, fan_out, activation in dense_layers(case):
        scale = math.sqrt(2 / (fan_in + fan_out) if activation == "tanh" else 2 / fan_in)
        parameters[f"{name}.weight"] = (scale * rng.standard_normal((fan_out, fan_in))).astype(
            np.float32
        )
        parameters[f"{name}.bias"] = (0.2 * rng.standard_normal(fan_out)).astype(np.float32)
    return parameters


def dense(p, name, x):
    return F.linear(x, p[f"{name}.weight"], p[f"{name}.bias"])


def logits(p, case, x):
    """Returns {task name: logits [N, C]}."""
    act = ACTIVATIONS[case["trunk"]["activation"]]
    for i in range(len(case["trunk"]["layers"])):
        x = act(dense(p, f"trunk.{i}", x))
    out = {}
    for t in case["tasks"]:
        h, act = x, ACTIVATIONS[t["activation"]]
        for i in range(len(t["layers"])):
            h = act(dense(p, f"task.{t['name']}.{i}", h))
        out[t["name"]] = dense(p, f"task.{t['name']}.{len(t['layers'])}", h)
    return out


def soft_sharing(p, a, b):
    """Half the squared distance of all weights and biases of two heads."""
    names = [name for name in p if name.startswith(f"task.{a}.")]
    return sum(
        0.5 * ((p[name] - p[name.replace(f"task.{a}.", f"task.{b}.")]) ** 2).sum() for name in names
    )


def agreement(z_a, z_b):
    """Jensen-Shannon divergence of two softmax outputs, natural logarithm, mean over the rows."""
    log_a, log_b = F.log_softmax(z_a, 1), F.log_softmax(z_b, 1)
    log_m = torch.logaddexp(log_a, log_b) - math.log(2)
    rows = 0.5 * (log_a.exp() * (log_a - log_m)).sum(1) + 0.5 * (log_b.exp() * (log_b - log_m)).sum(
        1
    )
    return rows.mean()


def objective(p, case, x, y):
    """Returns the total loss, the tasks' losses without their weights, and the couplings' values,
    one per pair, without their strengths."""
    z = logits(p, case, x)
    task_losses = {
        t["name"]: F.cross_entropy(z[t["name"]], y[:, i]) for i, t in enumerate(case["tasks"])
    }
    total = sum(t["weight"] * task_losses[t["name"]] for t in case["tasks"])
    values = []
    for c in case["couplings"]:
        for a, b in c["pairs"]:
            values.append(
                soft_sharing(p, a, b) if c["kind"] == "soft_sharing" else agreement(z[a], z[b])
            )
            total = total + c["strength"] * values[-1]
    return total, task_losses, values


def make_optimizer(p, o):
    biases = [v for k, v in p.items() if k.endswith(".bias")]
    weights = [v for k, v in p.items() if k.endswith(".weight")]
    groups = [
        {"params": weights, "weight_decay": o["weight_decay"]},
        {"params": biases, "weight_decay": o["weight_decay"] if o["decay_biases"] else 0.0},
    ]
    if o["kind"] == "sgd":
        return torch.optim.SGD(
            groups, lr=o["learning_rate"], momentum=o["momentum"], nesterov=o["nesterov"]
        )
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[o["kind"]]
    return kind(groups, lr=o["learning_rate"], betas=(o["beta1"], o["beta2"]), eps=o["eps"])


def learning_rate(o, step):
    """Learning rate of a step; the first step is 0."""
    rate = o["learning_rate"]
    if o["schedule"] == "cosine":
        rate *= 0.5 * (1 + math.cos(math.pi * step / STEPS))
    if o["schedule"] == "step":
        rate *= o["gamma"] ** (step // int(o["step_size"].rstrip("s")))
    if o["warmup_steps"]:
        rate *= min(1, (step + 1) / o["warmup_steps"])
    return rate


def train(case, x, y, initial, dtype):
    """Returns the values of every step before its update, and the parameters after the last
    step."""
    x, y = torch.tensor(x, dtype=dtype), torch.tensor(y, dtype=torch.int64)
    p = {name: torch.tensor(v, dtype=dtype, requires_grad=True) for name, v in initial.items()}
    o = case["optimizer"]
    optimizer = make_optimizer(p, o)
    log = {
        "loss": [],
        "task_loss": {t["name"]: [] for t in case["tasks"]},
        "coupling": [[] for c in case["couplings"] for _ in c["pairs"]],
        "learning_rate": [],
        "gradient_norm": [],
    }
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(o, step)
        optimizer.zero_grad()
        total, task_losses, values = objective(p, case, x, y)
        total.backward()
        # This returns the norm before clipping.
        norm = torch.nn.utils.clip_grad_norm_(p.values(), o["clip_norm"] or math.inf)
        optimizer.step()
        log["loss"].append(total.item())
        for name, value in task_losses.items():
            log["task_loss"][name].append(value.item())
        for row, value in zip(log["coupling"], values):
            row.append(value.item())
        log["learning_rate"].append(learning_rate(o, step))
        log["gradient_norm"].append(norm.item())
    return log, {name: v.detach().double().numpy() for name, v in p.items()}


def main():
    torch.set_num_threads(1)
    for name, case in CASES.items():
        rng = np.random.default_rng(case["seed"])
        x, y = make_data(case, rng)
        initial = make_parameters(case, rng)
        log, final = train(case, x, y, initial, torch.float64)
        log32, final32 = train(case, x, y, initial, torch.float32)

        flat, flat32 = (np.concatenate([f[k].ravel() for k in initial]) for f in (final, final32))
        loss, loss32 = np.array(log["loss"]), np.array(log32["loss"])
        deviation = {
            "loss": float((abs(loss32 - loss) / abs(loss)).max()),
            "parameters": float(np.linalg.norm(flat32 - flat) / np.linalg.norm(flat)),
        }
        tensors = {"features": x, "labels": y}
        tensors |= {f"initial.{k}": v for k, v in initial.items()}
        tensors |= {f"final.{k}": v.astype(np.float32) for k, v in final.items()}
        save_file(tensors, HERE / f"{name}.safetensors")
        record = {"name": name, "steps": STEPS, **case, "float32_deviation": deviation, **log}
        del record["seed"]
        (HERE / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
        clipped = sum(n > case["optimizer"]["clip_norm"] > 0 for n in log["gradient_norm"])
        print(
            f"{name}: loss {loss[0]:.6f} -> {loss[-1]:.6f}, clipped in {clipped} steps, "
            f"float32 deviates by {deviation['loss']:.1e} (loss), "
            f"{deviation['parameters']:.1e} (parameters)"
        )


if __name__ == "__main__":
    main()
