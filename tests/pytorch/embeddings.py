"""Training steps of a network with nn.Embedding and nn.EmbeddingBag in PyTorch: independent numbers
to compare tandem's with.

python3 embeddings.py        writes embeddings.safetensors beside this file

The columns are those of tests/cpu/embeddings.rs: a one-hot category, three numbers, a category with
vectors, a bag of words, another category.
"""

import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
STEPS, ROWS, SEED = 30, 64, 105
ONE_HOT, NUMBERS, WORDS, SCALE = 4, 3, 3, 0.75
NO_CODE = 0xFFFFFFFF


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.city, self.other = nn.Embedding(9, 4), nn.Embedding(40, 2)
        self.words = nn.EmbeddingBag(7, 5, mode="sum")
        self.trunk = nn.Linear(4 + 5 + 2 + ONE_HOT + NUMBERS, 6)
        self.tower, self.a, self.b = nn.Linear(6, 4), nn.Linear(4, 3), nn.Linear(6, 4)

    def named(self):
        """Returns the parameters under their names in model.safetensors."""
        names = {
            "city": 'embedding.some "city"',
            "words": "embedding.words",
            "other": "embedding.other",
            "trunk": "trunk.0",
            "tower": "task.a.0",
            "a": "task.a.1",
            "b": "task.b.0",
        }
        return {
            f"{names[k.split('.')[0]]}.{k.split('.')[1]}": v for k, v in self.named_parameters()
        }

    def forward(self, one_hot, numbers, city, words, other):
        flat = torch.cat([w[w != NO_CODE] for w in words])
        counts = (words != NO_CODE).sum(1)
        bags = SCALE * self.words(flat, torch.cumsum(counts, 0) - counts)
        x = torch.cat(
            [
                self.city(city),
                bags,
                self.other(other),
                F.one_hot(one_hot, ONE_HOT).to(bags.dtype),
                numbers,
            ],
            1,
        )
        h = torch.tanh(self.trunk(x))
        return self.a(torch.tanh(self.tower(h))), self.b(h)


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    numbers = rng.standard_normal((ROWS, NUMBERS)).astype(np.float32)
    one_hot, city, other = (rng.integers(0, n, ROWS) for n in (ONE_HOT, 9, 40))
    words = rng.integers(0, 7, (ROWS, WORDS))
    for row, count in enumerate(rng.integers(0, WORDS + 1, ROWS)):
        words[row, count:] = NO_CODE
    labels = np.stack([rng.integers(0, 3, ROWS), rng.integers(0, 4, ROWS)], 1)

    net = Net()
    with torch.no_grad():  # f32 holds the first parameters
        for parameter in net.parameters():
            parameter.copy_(parameter.float())
    net = net.double()
    tensors = {f"initial.{k}": v.detach().float().numpy().copy() for k, v in net.named().items()}
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=0.05)
    arguments = [torch.tensor(a) for a in (one_hot, numbers.astype(np.float64), city, words, other)]
    y, losses = torch.tensor(labels), []
    for step in range(STEPS):
        optimizer.zero_grad()
        z_a, z_b = net(*arguments)
        loss = 0.75 * F.cross_entropy(z_a, y[:, 0]) + 1.5 * F.cross_entropy(z_b, y[:, 1])
        loss.backward()
        if step == 0:
            tensors |= {
                f"gradient.{k}": v.grad.float().numpy().copy() for k, v in net.named().items()
            }
        optimizer.step()
        losses.append(loss.item())
    tensors |= {f"final.{k}": v.detach().float().numpy() for k, v in net.named().items()}
    cells = [one_hot[:, None], numbers.view(np.uint32), city[:, None], words, other[:, None]]
    tensors |= {
        "cells": np.concatenate(cells, 1).astype(np.uint32),
        "labels": labels.astype(np.uint32),
        "loss": np.array(losses),
    }
    save_file(tensors, HERE / "embeddings.safetensors")
    print(f"loss {losses[0]:.6f} -> {losses[-1]:.6f}")


if __name__ == "__main__":
    main()
