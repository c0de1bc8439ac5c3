"""Makes the tables and configurations of this example in a directory.

python3 make.py DIRECTORY

train.csv has labels. rows.csv has 1,000 rows as they come in practice: blanks, values that training
does not have, numbers far out of range, tiny numbers, negative zero.
"""

import csv
import pathlib
import random
import struct
import sys

COLUMNS = ["age", "hours", "balance", "job", "city", "member", "code"]
JOBS = ["clerk", "nurse", "pilot", "cook", "none"]
LABELS = ["level", "yes", "price", "visits", "a", "b", "c", "low", "high"]
STRANGE = ["1e30", "-1e30", "1e-30", "-0", "-0.0", "123456789", "0.1", "NaN", "NA", ""]

HEAD = """
[data]
train = "train.csv"
split = [0.8, 0.2, 0.0]
ignore = [{ignore}]
[trunk]
layers = [24, 16]
activation = "{activation}"
dropout = 0.1
[optimizer]
learning_rate = 5e-3
[train]
epochs = 6
batch_size = 64
"""
IMAGES = """
[data]
train = { images = "images.idx", labels = "labels.idx" }
split = [0.8, 0.2, 0.0]
[trunk]
layers = [16]
[train]
epochs = 3
"""
TASKS = {
    "level": '[task.level]\ntype = "multiclass"\n',
    "yes": '[task.yes]\ntype = "binary"\nlayers = [5]\n',
    "price": '[task.price]\ntype = "regression"\nlayers = [8]\n',
    "visits": '[task.visits]\ntype = "count"\n',
    "abc": '[task.abc]\ntype = "multilabel"\ntarget = ["a", "b", "c"]\n',
    "range": '[task.range]\ntype = "regression"\ntarget = ["low", "high"]\n'
    'loss = "quantile"\nquantile = 0.9\n',
}
ALL = list(TASKS)
MODELS = {
    "regression": (["price", "range"], "gelu", "shared"),
    "classes": (["level", "yes"], "relu", "shared"),
    "multilabel": (["abc", "visits"], "silu", "shared"),
    "separate": (ALL, "tanh", "separate"),
    "mmoe": (ALL, "relu", "mmoe\nexperts = 3"),
    "cgc": (ALL, "relu", "cgc\nexperts = 2\ntask_experts = 1"),
    "ple": (ALL, "silu", "ple\nexperts = 2\ntask_experts = 1\nlevels = 2"),
    "cross_stitch": (ALL, "relu", "cross_stitch"),
    "mtan": (ALL, "gelu", "mtan"),
    "dselect_k": (ALL, "relu", "dselect_k\nexperts = 5\nselect = 2"),
    "dselect_k_task": (ALL, "relu", 'dselect_k\nexperts = 4\nselect = 2\ngates = "task"'),
    "branched": (["level", "price"], "relu", "branched\nlearn = true"),
}


def config(tasks, activation, architecture):
    kind, *keys = architecture.split("\n")
    used = {label for task in tasks for label in labels(task)}
    ignore = ", ".join(f'"{label}"' for label in LABELS if label not in used)
    text = HEAD.format(ignore=ignore, activation=activation)
    text += "\n".join([f'[architecture]\nkind = "{kind}"', *keys]) + "\n"
    if kind != "separate":
        text += '[feature.city]\ntype = "category"\nembed = 6\n'
    text += '[feature.code]\nmissing = ["", "-9"]\nscale = "minmax"\n'
    return text + "".join(TASKS[task] for task in tasks)


def labels(task):
    return {"abc": ["a", "b", "c"], "range": ["low", "high"]}.get(task, [task])


def row(draw, strange):
    """The cells of a row, and its labels."""
    age, hours, balance = draw.gauss(40, 12), draw.uniform(0, 60), draw.gauss(0, 1e4)
    job, city = draw.randrange(5), draw.randrange(40)
    member, code = draw.random() < 0.4, draw.randrange(100)
    score = (age - 40) / 12 + (job - 2) + (2 if member else 0) + draw.gauss(0, 0.3)
    cells = [f"{age:.2f}", f"{hours:.3f}", f"{balance:.1f}", JOBS[job], f"town {city}"]
    cells += ["yes" if member else "no", str(code)]
    low = 10 + score + hours / 30
    found = ["low" if score < -1 else "high" if score > 2 else "middle", "Y" if score > 1 else "N"]
    found += [f"{250 + 40 * score:.2f}", str(int(2.718 ** (score / 3 + 1)))]
    found += [str(int(city % 2 == 0)), str(int(age > 40)), str(int(score > 0))]
    found += [f"{low:.3f}", f"{low + 5:.3f}"]
    for place in range(len(cells)):
        if draw.random() < 0.05:
            cells[place] = "-9" if place == 6 and draw.random() < 0.5 else ""
        elif strange and draw.random() < 0.1:
            texts = [" pilot ", "diver", "Yes", "TRUE", "?", "town 0", "n", "0"]
            cells[place] = draw.choice(STRANGE if place in (0, 1, 2, 6) else texts)
    return cells, found


def images(folder, draw):
    """Images of 6 × 5 pixels with the class of the brighter half."""
    pixels, labels = bytearray(), bytearray()
    for _ in range(1000):
        label = draw.randrange(2)
        labels.append(label)
        pixels += bytes(draw.randrange(255 if (i < 15) == (label == 0) else 99) for i in range(30))
    (folder / "images.idx").write_bytes(struct.pack(">4I", 0x803, 1000, 6, 5) + pixels)
    (folder / "labels.idx").write_bytes(struct.pack(">2I", 0x801, 1000) + labels)
    text = IMAGES + "".join(f"[task.{name}]\ntarget = \"label\"\n" for name in ("half", "again"))
    (folder / "images.toml").write_text(text)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(7)
    with open(folder / "train.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS + LABELS)
        writer.writerows(cells + found for cells, found in (row(draw, False) for _ in range(2000)))
    with open(folder / "rows.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(row(draw, True)[0] for _ in range(1000))
    for name, parts in MODELS.items():
        (folder / f"{name}.toml").write_text(config(*parts))
    images(folder, draw)
    print(" ".join(MODELS), "images")


main()
