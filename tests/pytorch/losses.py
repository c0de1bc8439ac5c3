"""Losses of torch.nn.functional and their gradients with respect to the logits, in float64, for
tests/gpu/losses.rs.

python3 losses.py        writes losses.json beside this file

Logits, numeric labels and weights are float32 numbers, so that tables in float32 hold them exactly.
"""

import json
import pathlib

import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).resolve().parent
BLANK = -100  # ignore_index
torch.manual_seed(2026)


def logits(rows, outputs):
    return (2.5 * torch.randn(rows, outputs)).double().requires_grad_()


def focal(loss, gamma):
    """(1 - p)^gamma times the loss of each row, where p is the probability of the label."""
    return ((1 - torch.exp(-loss)) ** gamma * loss).mean()


CASES = []


def case(name, task, z, labels, loss):
    loss.backward()
    entry = {
        "name": name,
        "task": task,
        "logits": z.tolist(),
        "labels": labels.tolist(),
        "loss": loss.item(),
        "gradient": z.grad.tolist(),
    }
    CASES.append(entry)


def classes(name, task, loss, rows=8, blanks=0, count=4):
    z, y = logits(rows, count), torch.randint(count, (rows, 1))
    y[:blanks] = BLANK
    case(name, task, z, y, loss(z, y[:, 0]))


def others(name, task, labels, loss, outputs=1, rows=8):
    z, y = logits(rows, outputs), labels(rows, outputs).double()
    case(name, task, z, y, loss(z, y))


WEIGHTS = [0.5, 2.0, 1.0, 3.25]
weight = torch.tensor(WEIGHTS, dtype=torch.float64)
weights = "class_weights = { " + ", ".join(f"{i} = {w}" for i, w in enumerate(WEIGHTS)) + " }\n"
classes("cross_entropy", "", F.cross_entropy)
classes("ignore_index", "", F.cross_entropy, rows=12, blanks=5)
classes("weight", weights, lambda z, y: F.cross_entropy(z, y, weight))
classes(
    "weight, ignore_index", weights, lambda z, y: F.cross_entropy(z, y, weight), rows=12, blanks=5
)
classes(
    "label_smoothing",
    "label_smoothing = 0.125\n",
    lambda z, y: F.cross_entropy(z, y, label_smoothing=0.125),
)
classes(
    "weight, label_smoothing, ignore_index",
    weights + "label_smoothing = 0.125\n",
    lambda z, y: F.cross_entropy(z, y, weight, label_smoothing=0.125),
    rows=12,
    blanks=5,
)
classes(
    "focal", "focal_gamma = 2.0\n", lambda z, y: focal(F.cross_entropy(z, y, reduction="none"), 2.0)
)


def zero_or_one(rows, outputs):
    return torch.randint(2, (rows, outputs))


def numbers(rows, outputs):
    return 2 * torch.randn(rows, outputs)


def counts(rows, outputs):
    return torch.poisson(torch.full((rows, outputs), 2.0))


logistic = F.binary_cross_entropy_with_logits
of_three = torch.tensor(3.0, dtype=torch.float64)
binary, labels = 'type = "binary"\n', 'type = "multilabel"\ntarget = ["p", "q", "r", "s"]\n'
regression = 'type = "regression"\nscale = "none"\ntarget = ["p", "q"]\n'
others("binary", binary, zero_or_one, logistic)
others(
    "binary, pos_weight",
    binary + "positive_weight = 3.0\n",
    zero_or_one,
    lambda z, y: logistic(z, y, pos_weight=of_three),
)
others(
    "binary, focal",
    binary + "focal_gamma = 1.5\n",
    zero_or_one,
    lambda z, y: focal(logistic(z, y, reduction="none"), 1.5),
)
others("multilabel", labels, zero_or_one, logistic, 4)
others(
    "multilabel, pos_weight",
    labels + "positive_weight = 3.0\n",
    zero_or_one,
    lambda z, y: logistic(z, y, pos_weight=of_three),
    4,
)
others("mse", regression, numbers, F.mse_loss, 2)
others("l1", regression + 'loss = "absolute"\n', numbers, F.l1_loss, 2)
huber = regression + 'loss = "huber"\nhuber_delta = 0.75\n'
others("huber", huber, numbers, lambda z, y: F.huber_loss(z, y, delta=0.75), 2)
others(
    "poisson",
    'type = "count"\n',
    counts,
    lambda z, y: F.poisson_nll_loss(z, y, log_input=True, full=False),
)

(HERE / "losses.json").write_text("[\n" + ",\n".join(map(json.dumps, CASES)) + "\n]\n")
print(len(CASES), "cases")
