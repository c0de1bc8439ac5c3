"""Loads a tandem model into PyTorch and compares its logits with those that tandem wrote.

python3 check_model.py MODEL_DIR PREDICTIONS.csv INPUTS.csv

MODEL_DIR holds model.safetensors and config.json; where it also holds a schema.json with columns, these are picked from INPUTS.csv and
scaled, otherwise every column of INPUTS.csv is fed as it is. PREDICTIONS.csv has a column TASK:logit:CLASS per logit.
Needs torch, numpy and safetensors. PyTorch itself refuses a few names for modules, those with a dot among them.
"""
import csv
import json
import pathlib
import sys

import numpy as np
import torch
import torch.nn as nn
from safetensors.torch import load_file

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "silu": nn.SiLU, "identity": nn.Identity}


def layers(widths):
    return nn.ModuleList([nn.Linear(a, b) for a, b in zip(widths, widths[1:])])


class Model(nn.Module):
    """Its state_dict has the names of the file: trunk.{i}.weight, task.{name}.{i}.weight and the biases."""

    def __init__(self, config):
        super().__init__()
        trunk = config["trunk"]
        widths = [config["inputs"], *trunk["layers"]]
        self.trunk = layers(widths)
        self.task = nn.ModuleDict({t["name"]: layers([widths[-1], *t["layers"], len(t["classes"])]) for t in config["tasks"]})
        self.act = ACTIVATIONS[trunk["activation"]]()
        self.task_act = {t["name"]: ACTIVATIONS[t.get("activation", trunk["activation"])]() for t in config["tasks"]}

    def forward(self, x):
        for layer in self.trunk:
            x = self.act(layer(x))
        out = {}
        for name, head in self.task.items():
            h = x
            for layer in head[:-1]:
                h = self.task_act[name](layer(h))
            out[name] = head[-1](h)
        return out


def read_csv(path):
    """{column: texts}"""
    with open(path, newline="") as file:
        header, *rows = csv.reader(file)
    return {name: [row[i] for row in rows] for i, name in enumerate(header)}


def read_inputs(path, schema):
    """Features [N, I], scaled as the schema says: (x - offset) * factor."""
    table = read_csv(path)
    columns = [{"name": name, "offset": 0, "factor": 1} for name in table]
    if schema.exists():
        columns = json.loads(schema.read_text())["input"].get("columns", columns)
    x = [(np.array(table[c["name"]], np.float64) - c["offset"]) * c["factor"] for c in columns]
    return torch.tensor(np.stack(x, axis=1).astype(np.float32))


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    directory = pathlib.Path(sys.argv[1])
    config = json.loads((directory / "config.json").read_text())
    model = Model(config)
    model.load_state_dict(load_file(directory / "model.safetensors"))  # strict: every name and shape must fit
    model = model.double().eval()
    with torch.no_grad():
        expected = model(read_inputs(sys.argv[3], directory / "schema.json").double())

    table = read_csv(sys.argv[2])
    failed = False
    for t in config["tasks"]:
        z = expected[t["name"]].numpy()
        found = np.stack([np.array(table[f"{t['name']}:logit:{c}"], np.float64) for c in t["classes"]], axis=1)
        if found.shape != z.shape or len(z) == 0:
            sys.exit(f"{t['name']}: {found.shape} logits found, {z.shape} expected")
        difference = abs(found - z)
        ok = bool((difference <= 1e-5 * np.maximum(1, abs(z))).all())  # false for NaN as well
        failed |= not ok
        print(f"{t['name']}: {len(z)} rows, largest difference {difference.max():.2e}, {'ok' if ok else 'TOO LARGE'}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
