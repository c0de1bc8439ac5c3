"""A model that tandem VERSION wrote, for PyTorch. Needs numpy, safetensors and torch.

python3 model.py ROWS [MODEL_DIR] > predictions.csv

MODEL_DIR holds model.safetensors, config.json and schema.json; without it they are beside this
file. As a module: load()(encode(table)) are the logits of each task, {name: [rows, outputs]}.
"""

import csv
# [dates
import datetime
# ]
import json
import pathlib
# [patterns
import re
# ]
import sys

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn.functional import linear

# The network: [name, kind, what it reads …], each after all that it reads.
NODES = []
# The node of each task that makes its logits.
OUTPUTS = {}
# [values
# Spellings of the values of columns other than those in schema.json, with their codes.
SPELT = {}
# ]
# [blanks
# Texts that mean "blank" between numbers and dates, in small letters.
BLANK = set()
# ]
# [truths
# Words for yes and no.
TRUTHS = {}
# ]
# [words
# Texts that mean "blank" among words.
NO_WORDS = set()
# ]
# [text
DELIMITER = None
# ]
HERE = pathlib.Path(__file__).parent
ACTS = {"identity": lambda z: z, "gelu": torch.nn.functional.gelu, "relu": torch.relu}
ACTS |= {"silu": torch.nn.functional.silu, "tanh": torch.tanh}


# [gates
def weights(rule, z, terms):
    """The weights [rows, terms] of the terms of a mix from the values of its gate."""
    if rule == "softmax":
        return z.softmax(1)
    if rule == "linear":
        return z
    # [selection
    select, smooth = rule  # binary codes and a smooth step (DSelect-k)
    share, s = z[:, :select].softmax(1), (z[:, select:] / smooth).clamp(-0.5, 0.5)
    s = (s * (1.5 - 2 * s * s) + 0.5).reshape(len(z), select, 1, -1)
    bit = torch.arange(terms)[:, None] >> torch.arange(s.shape[3]) & 1
    return (share[:, :, None] * torch.where(bit == 1, s, 1 - s).prod(3)).sum(1)
    # ]


# ]

class Model(torch.nn.Module):
    """Its state_dict has the names of model.safetensors."""

    def __init__(self, tensors):
        super().__init__()
        for name, tensor in tensors.items():
            *path, last = name.split(".")
            module = self
            for part in path:
                module = module._modules.setdefault(part, torch.nn.Module())
            module.register_parameter(last, torch.nn.Parameter(tensor))

    def forward(self, columns):
        """The logits of each task, from what `encode` makes of a table."""
        w, parts = dict(self.named_parameters()), {True: [], False: []}
        for name, x in columns.items():
            vectors = w.get(f"embedding.{name}.weight")
            parts[vectors is not None].append(x if vectors is None else x @ vectors)
        v = {"inputs": torch.cat(parts[True] + parts[False], 1)}
        for name, kind, *more in NODES:
            if kind == "dense":
                z = linear(v[more[0]], w[name + ".weight"], w[name + ".bias"])
                v[name] = ACTS[more[1]](z)
            # [constants
            elif kind == "constant":
                v[name] = w[name + ".weight"][None]
            # ]
            # [masks
            elif kind == "mask":
                v[name] = v[more[0]] * sum(v[gate] for gate in more[1]).sigmoid()
            # ]
            # [sums
            elif kind == "sum":
                v[name] = sum(v[term] for term in more[0])
            # ]
            # [gates
            else:
                terms, gate, rule = more
                shares = weights(rule, v[gate], len(terms))
                v[name] = sum(shares[:, i : i + 1] * v[term] for i, term in enumerate(terms))
            # ]
        return {task: v[node] for task, node in OUTPUTS.items()}


# [numbers
def number(text, notation):
    """A number as it is written in a column."""
    # [notations
    if notation != "plain":
        text = re.sub("[ \u00a0\u202f\u2009'’]", "", text).replace("−", "-")
        text = text.replace(",", "") if notation == "grouped" else text.replace(".", "")
        text = text.replace(",", ".")
    # ]
    # [truths
    words = TRUTHS if notation == "truth" else {}
    text = words.get(text.lower(), text)
    # ]
    return float(text)


def numeric(column, cells):
    """Scaled numbers, and 1 where the cell is blank if training had blanks."""
    missing = column["missing"]
    blank = np.array([c in missing or c.lower() in BLANK for c in cells])
    notation, same = column.get("notation", "plain"), [float(m) for m in missing if is_number(m)]
    # [truths
    notation = "truth" if column.get("truth") else notation
    # ]
    x = np.array([0 if b else number(c, notation) for b, c in zip(blank, cells)], np.float64)
    blank |= np.isin(x, same) | np.isnan(x)
    held, span = x, column.get("range") or {"clip": 0}
    if span["clip"] > 0:
        d, c = span["deviation"], span["clip"]
        with np.errstate(divide="ignore"):
            above = c / (1 + c / (np.maximum(x - span["high"], 0) / d)) * d
            below = c / (1 + c / (np.maximum(span["low"] - x, 0) / d)) * d
        held = np.clip(x, span["low"], span["high"]) + above - below
    y = (held - column["offset"]) * column["factor"] if column["factor"] else 0 * blank
    y = np.where(blank, column.get("blank", 0), y)
    return np.stack([y, blank][: 1 + column["indicator"]], 1)


def is_number(text):
    """Whether a text is a plain number."""
    try:
        return float(text) == float(text)
    except ValueError:
        return False


# ]
# [categories
def category(column, cells):
    """A 1 in the place of the value: of the values, then others, then blanks."""
    values, own = column["values"], SPELT.get(column["name"], {})
    known = {value: code for code, value in enumerate(values)} | own
    codes = [known.get(cell, len(values)) for cell in cells]
    return np.eye(len(values) + 1 + column["blank"])[codes]


# ]
# [binaries
def binary(column, cells):
    """0 or 1, the mean where the cell is neither value, and 1 for these if training had such."""
    known = {value: code for code, value in enumerate(column["values"])}
    known |= SPELT.get(column["name"], {})
    y = [[known.get(cell, column["mean"]), cell not in known] for cell in cells]
    return np.array(y, np.float64)[:, : 1 + column["indicator"]]


# ]
# [dates
def moment(text, order):
    """Days since 1970-01-01 and seconds since midnight, in UTC, of a date."""
    day, _, time = text.replace("T", " ").replace("t", " ").partition(" ")
    a, b, c = (int(part) for part in re.split("[-/.]", day))
    if order in ("iso", "ymd") or day[4:5] == "-":
        year, month, day = a, b, c
    else:
        year, (month, day) = c, (a, b) if order == "mdy" else (b, a)
        year += (2000 if year < 69 else 1900) if year < 100 else 0
    clock = r"(\d+):(\d+)(?::([\d.]+))? ?([AaPp][Mm])? ?(?:Z|z|UTC|GMT|([+-])(\d\d):?(\d\d)?)?"
    hour, minute, second, half, sign, ahead, more = re.fullmatch(clock, time or "0:0").groups("0")
    hour = int(hour) if half == "0" else int(hour) % 12 + 12 * (half in ("PM", "pm"))
    offset = (3600 * int(ahead) + 60 * int(more)) * (-1 if sign == "-" else 1)
    seconds = 3600 * hour + 60 * int(minute) + float(second) - offset
    days = datetime.date(year, month, day).toordinal() - datetime.date(1970, 1, 1).toordinal()
    return days + seconds // 86400, seconds % 86400


def date(column, cells):
    """Scaled years, points on circles, and 1 where the cell is blank if training had blanks."""
    circle, rows = (lambda at: [np.sin(2 * np.pi * at), np.cos(2 * np.pi * at)]), []
    for cell in cells:
        if cell in column["missing"] or cell.lower() in BLANK:
            rows.append([0.0] * (6 + 2 * column["time"]) + [1.0])
            continue
        days, seconds = moment(cell, column.get("order", "iso"))
        day = datetime.date(1970, 1, 1) + datetime.timedelta(days)
        years = (days + seconds / 86400) / 365.2425
        row = [(years - column["offset"]) * column["factor"]] + circle((day.month - 1) / 12)
        row += [(day.day - 16) / 15] + circle(day.weekday() / 7)
        rows.append(row + (circle(seconds / 86400) if column["time"] else []) + [0.0])
    return np.array(rows)[:, : 6 + 2 * column["time"] + column["indicator"]]


# ]
# [words
def bucket(text, salt, buckets):
    """The bucket of a word or an n-gram: FNV-1a, mixed."""
    h, whole = 0xCBF29CE484222325 ^ salt, 2**64 - 1
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001B3 & whole
    h = (h ^ h >> 32) * 0xD6E8FEB86659FD93 & whole
    return (h ^ h >> 32) * buckets >> 64


def words(column, cells):
    """How often each known word or bucket occurs in a cell, times the scale."""
    x, n = np.zeros((len(cells), column["buckets"])), column["ngrams"]
    codes = {word: code for code, word in enumerate(column.get("words", []))}
    for row, cell in zip(x, cells):
        found, blank = [], cell in column["missing"] or cell in NO_WORDS
        for piece in re.findall(r"[^\W_]+", "" if blank else cell):
            word = "".join(c.lower() for c in piece)
            if codes:
                found += [codes[word]] if word in codes else []
                continue
            word = f"<{word}>"
            found.append(bucket(word, 0, column["buckets"]))
            grams = [word[i : i + n] for i in range(len(word) - n + 1)] if n else []
            found += [bucket(gram, 1, column["buckets"]) for gram in grams]
        np.add.at(row, found[: column["slots"]], column["scale"])
    return x


# ]
# [table
KINDS = {}


def encode(table, folder=HERE):
    """What the columns of a table {name: texts} become: {name: [rows, width]}."""
    columns = json.loads((folder / "schema.json").read_text())["input"]["columns"]
    made = {c["name"]: KINDS[c["type"]](c, table[c["name"]]) for c in columns}
    return {name: torch.tensor(x.astype(np.float32)) for name, x in made.items()}


# ]
# [images
def encode(images, folder=HERE):
    """What images [rows, height, width] become: {"image": [rows, width]}."""
    scale = json.loads((folder / "schema.json").read_text())["input"]["scale"]
    return {"image": torch.tensor(images.reshape(len(images), -1) * np.float32(scale))}


# ]
def load(folder=HERE):
    """The model of a directory."""
    return Model(load_file(folder / "model.safetensors"))


def predict(table, folder=HERE):
    """The columns that `tandem predict` adds to a table: {name: values}."""
    with torch.no_grad():
        tasks = load(folder)(encode(table, folder))
    targets = json.loads((folder / "schema.json").read_text())["targets"]
    found = {}
    for head, target in zip(json.loads((folder / "config.json").read_text())["tasks"], targets):
        name, kind, z = head["name"], head["type"], tasks[head["name"]].double().numpy()
        names = [f"{name}:{one}" for one in head["classes"] or head.get("columns", [])]
        if kind == "multiclass":
            y = np.exp(z - z.max(1, keepdims=True))
            y /= y.sum(1, keepdims=True)
            found[name] = [head["classes"][i] for i in z.argmax(1)]
        elif kind == "regression":
            factor, offset = ([s[of] for s in target["scales"]] for of in ("factor", "offset"))
            y = z / factor + offset
        elif kind == "count":
            y = np.exp(z)
        else:
            with np.errstate(over="ignore"):
                y = 1 / (1 + np.exp(-z))
                both = np.hstack([1 / (1 + np.exp(z)), y])
            if kind == "binary":
                found[name] = [head["classes"][int(p > head.get("threshold", 0.5))] for [p] in y]
                y = both
        one = kind in ("regression", "count") and len(names) < 2
        found |= dict(zip([name] if one else names, y.T.tolist()))
    return found


def main():
    """Reads a table, and writes predictions."""
    folder = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else HERE
    # [text
    with open(sys.argv[1], newline="", encoding="utf-8-sig") as file:
        first = file.readline()
        file.seek(0)
        between = DELIMITER or max(",;\t|", key=first.count)
        rows = list(csv.reader(file, delimiter=between))
    # [header
    header, *rows = rows
    # ]
    # [no header
    header = [str(i) for i in range(len(rows[0]))]
    # ]
    table = {name: [row[i].strip() for row in rows] for i, name in enumerate(header)}
    # ]
    # [array
    columns = json.loads((folder / "schema.json").read_text())["input"]["columns"]
    cells = np.load(sys.argv[1]).astype(str)
    table = {c["name"]: cells[:, i].tolist() for i, c in enumerate(columns)}
    # ]
    # [images
    raw = pathlib.Path(sys.argv[1]).read_bytes()
    shape = np.frombuffer(raw, ">u4", 4)[1:].tolist()
    table = np.frombuffer(raw, np.uint8, offset=16).reshape(shape)
    # ]
    found = predict(table, folder)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerows([found, *zip(*found.values())])


if __name__ == "__main__":
    main()
