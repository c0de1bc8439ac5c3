"""Trains the network of the demonstration in PyTorch, to know which test accuracy can be reached.

python3 digits_overlay.py [DIGITS.csv.gz]

Two 8x8 digits lie on a 12x12 canvas, the second one moved right and down by 4; where they overlap,
the larger value counts.
"""

import gzip
import pathlib
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

DIGITS = pathlib.Path(__file__).resolve().parents[2] / "src" / "data" / "images" / "digits.csv.gz"
SHIFT, EPOCHS, BATCH, STRENGTH = 4, 15, 128, 0.01


def overlay(images, labels, first, last, pairs, rng):
    """Returns features [N, 144] and labels [N, 2] of N = `pairs` random pairs of the images from
    `first` to `last` (exclusive)."""
    i, j = rng.integers(first, last, (2, pairs))
    canvas = np.zeros((pairs, 8 + SHIFT, 8 + SHIFT), np.float32)
    canvas[:, :8, :8] = images[i]
    canvas[:, SHIFT:, SHIFT:] = np.maximum(canvas[:, SHIFT:, SHIFT:], images[j])
    return torch.tensor(canvas.reshape(pairs, -1) / 16), torch.tensor(
        np.stack([labels[i], labels[j]], 1)
    )


def accuracies(trunk, heads, part):
    x, y = part
    trunk.eval()
    with torch.no_grad():
        h = trunk(x)
        return [
            (head(h).argmax(1) == y[:, t]).float().mean().item() for t, head in enumerate(heads)
        ]


def train(train_part, seed):
    torch.manual_seed(seed)
    trunk = nn.Sequential(
        nn.Linear(144, 256),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Dropout(0.2),
    )
    heads = nn.ModuleList([nn.Linear(128, 10), nn.Linear(128, 10)])
    for layer in [trunk[0], trunk[3], *heads]:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
    optimizer = torch.optim.Adam([*trunk.parameters(), *heads.parameters()], lr=1e-3)
    x, y = train_part
    steps = EPOCHS * ((len(x) + BATCH - 1) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(EPOCHS):
        trunk.train()
        for rows in torch.randperm(len(x)).split(BATCH):
            h = trunk(x[rows])
            loss = sum(F.cross_entropy(head(h), y[rows, t]) for t, head in enumerate(heads))
            for a, b in zip(heads[0].parameters(), heads[1].parameters()):
                loss = loss + STRENGTH * 0.5 * ((a - b) ** 2).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return trunk, heads


def main():
    torch.set_num_threads(1)
    table = np.loadtxt(gzip.open(sys.argv[1] if len(sys.argv) > 1 else DIGITS, "rt"), delimiter=",")
    images, labels = table[:, :64].reshape(-1, 8, 8), table[:, 64].astype(np.int64)
    assert len(images) == 1797
    rng = np.random.default_rng(0)
    train_part = overlay(images, labels, 0, 1200, 20_000, rng)
    valid_part = overlay(images, labels, 1200, 1400, 3_000, rng)
    test_part = overlay(images, labels, 1400, 1797, 4_000, rng)
    for seed in range(4):
        trunk, heads = train(train_part, seed)
        valid, test = accuracies(trunk, heads, valid_part), accuracies(trunk, heads, test_part)
        print(
            f"seed {seed}: valid left {valid[0]:.4f} right {valid[1]:.4f}, "
            f"test left {test[0]:.4f} right {test[1]:.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
