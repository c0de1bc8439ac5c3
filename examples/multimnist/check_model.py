"""Loads a tandem model into PyTorch and compares PyTorch's logits with those that tandem wrote.

python3 check_model.py MODEL_DIR PREDICTIONS.csv INPUTS

MODEL_DIR holds model.safetensors and config.json. INPUTS is a CSV file; if MODEL_DIR also holds a
schema.json with columns, these columns are taken from INPUTS and scaled, otherwise every column is
used as it is. If the schema says images, INPUTS is an IDX file, and a random partner is laid over
each image if the model was trained on such images. PREDICTIONS.csv has a column TASK:logit:CLASS
per logit. Needs torch, numpy and safetensors. PyTorch refuses some names for modules, for example
names with a dot.
"""

import csv
import json
import pathlib
import sys

import numpy as np
import torch
import torch.nn as nn
from safetensors.torch import load_file

ACTIVATIONS = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "identity": nn.Identity,
}


def layers(widths):
    return nn.ModuleList([nn.Linear(a, b) for a, b in zip(widths, widths[1:])])


class Model(nn.Module):
    """The names in its state_dict are those of model.safetensors: trunk.{i}.weight,
    task.{name}.{i}.weight and the biases."""

    def __init__(self, config):
        super().__init__()
        trunk = config["trunk"]
        widths = [config["inputs"], *trunk["layers"]]
        self.trunk = layers(widths)
        self.task = nn.ModuleDict(
            {
                t["name"]: layers([widths[-1], *t["layers"], len(t["classes"])])
                for t in config["tasks"]
            }
        )
        self.act = ACTIVATIONS[trunk["activation"]]()
        self.task_act = {
            t["name"]: ACTIVATIONS[t.get("activation", trunk["activation"])]()
            for t in config["tasks"]
        }

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
    """Returns {column: texts}."""
    with open(path, newline="") as file:
        header, *rows = csv.reader(file)
    return {name: [row[i] for row in rows] for i, name in enumerate(header)}


def read_inputs(path, schema):
    """Returns features [N, I], scaled as the schema says: (x - offset) * factor for columns."""
    if schema.exists() and json.loads(schema.read_text())["input"]["kind"] == "image":
        return read_images(path, json.loads(schema.read_text())["input"])
    table = read_csv(path)
    columns = [{"name": name, "offset": 0, "factor": 1} for name in table]
    if schema.exists():
        columns = json.loads(schema.read_text())["input"].get("columns", columns)
    x = [(np.array(table[c["name"]], np.float64) - c["offset"]) * c["factor"] for c in columns]
    return torch.tensor(np.stack(x, axis=1).astype(np.float32))


def partner(n, seed, part, index):
    """Returns the number of the image that is laid over image `index`: tandem's counter-keyed
    generator, the finaliser of SplitMix64 once per key."""
    mask, golden = 2**64 - 1, 0x9E3779B97F4A7C15

    def mix(z):
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        return z ^ z >> 31

    h = mix(seed + golden & mask)
    for key in [5, part, index]:  # 5: the purpose "partner of an overlay"
        h = mix((h + golden & mask) ^ mix(key + golden & mask))
    return h * n >> 64


def read_images(path, image):
    """Returns features [N, H * W] of the images of an IDX file, laid over each other as tandem does
    for `--data`: as a test part, which is part number 2."""
    raw = pathlib.Path(path).read_bytes()
    magic, n, height, width = np.frombuffer(raw, ">u4", 4).tolist()
    if magic != 0x803:
        sys.exit(f"{path}: not an IDX file of images")
    x = np.frombuffer(raw, np.uint8, offset=16).reshape(n, height, width)
    if image["overlay"] is not None:
        shift, seed = image["overlay"]
        canvas = np.zeros((n, height + shift, width + shift), np.uint8)
        canvas[:, :height, :width] = x
        under = canvas[:, shift:, shift:]
        np.maximum(under, x[[partner(n, seed, 2, k) for k in range(n)]], out=under)
        x = canvas
    return torch.tensor(x.reshape(n, -1).astype(np.float32) * np.float32(image["scale"]))


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    directory = pathlib.Path(sys.argv[1])
    config = json.loads((directory / "config.json").read_text())
    model = Model(config)
    model.load_state_dict(
        load_file(directory / "model.safetensors")
    )  # strict: every name and shape must fit
    model = model.double().eval()
    with torch.no_grad():
        expected = model(read_inputs(sys.argv[3], directory / "schema.json").double())

    table = read_csv(sys.argv[2])
    failed = False
    for t in config["tasks"]:
        z = expected[t["name"]].numpy()
        found = np.stack(
            [np.array(table[f"{t['name']}:logit:{c}"], np.float64) for c in t["classes"]], axis=1
        )
        if found.shape != z.shape or len(z) == 0:
            sys.exit(f"{t['name']}: {found.shape} logits found, {z.shape} expected")
        difference = abs(found - z)
        ok = bool((difference <= 1e-5 * np.maximum(1, abs(z))).all())  # false for NaN as well
        failed |= not ok
        print(
            f"{t['name']}: {len(z)} rows, largest difference {difference.max():.2e}, "
            f"{'ok' if ok else 'TOO LARGE'}"
        )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
