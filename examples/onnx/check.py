"""Runs an exported model and compares it with what `tandem predict` wrote.

python3 check.py MODEL.onnx ROWS PREDICTIONS.csv
python3 check.py MODEL.py ROWS PREDICTIONS.csv

ROWS is the CSV or IDX file that was predicted. Needs numpy, and onnx and onnxruntime, or torch and
safetensors. Ends with 1 where
a class differs, a probability by more than 1e-5 of its size, or a number by more than 1e-5 of its
size or of the standard deviation of its column, whichever is larger.
"""

import csv
import io
import json
import subprocess
import sys

import numpy as np

# What tandem takes for blank in a column of numbers, of the texts that may stand in these files.
BLANK = {"", "NA", "N/A", "NaN", "nan", "?", "-"}


def read_csv(path):
    """Returns {column: texts}, without the blanks around them."""
    with open(path, newline="") as file:
        return table(file)


def table(file):
    header, *rows = csv.reader(file)
    return {name: [row[i].strip() for row in rows] for i, name in enumerate(header)}


def read_inputs(path, wanted):
    """Returns {input: array} for the inputs of a model."""
    if wanted[0].type == "tensor(uint8)":
        raw = open(path, "rb").read()
        shape = np.frombuffer(raw, ">u4", 4)[1:].tolist()
        return {wanted[0].name: np.frombuffer(raw, np.uint8, offset=16).reshape(shape)}
    table, inputs = read_csv(path), {}
    for want in wanted:
        cells = table[want.name]
        if want.type == "tensor(string)":
            inputs[want.name] = np.array(cells, object).reshape(-1, 1)
        else:
            numbers = [np.nan if cell in BLANK else float(cell) for cell in cells]
            inputs[want.name] = np.array(numbers, np.float64).reshape(-1, 1)
    return inputs


def run(session, inputs, size):
    """The outputs by name, for batches of `size` rows."""
    rows = len(next(iter(inputs.values())))
    names = [output.name for output in session.get_outputs()]
    parts = []
    for first in range(0, rows, size):
        batch = {name: values[first : first + size] for name, values in inputs.items()}
        parts.append(session.run(names, batch))
    return {name: np.concatenate([part[i] for part in parts]) for i, name in enumerate(names)}


def by_column(outputs, tasks):
    """The outputs as columns with the names that tandem gives them."""
    columns = {}
    for task, facts in tasks.items():
        names = [f"{task}:{name}" for name in facts.get("classes") or facts.get("columns", [])]
        shares = outputs.get(f"{task}:probabilities")
        found = outputs.get(task)
        if found is not None and found.ndim == 2:
            columns.update(zip(names, found.T))
        elif found is not None:
            columns[task] = found
        if shares is not None:
            columns.update(zip(names, shares.T))
    return columns


def with_onnxruntime(path, rows):
    """What a model gives for all rows at once; smaller batches give the same."""
    import onnx
    import onnxruntime

    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = read_inputs(rows, session.get_inputs())
    outputs = run(session, inputs, 10**9)
    for size in (1, 7):
        for name, values in run(session, inputs, size).items():
            same = np.array_equal if values.dtype == object else np.allclose
            assert same(values, outputs[name]), f"{name}: batches of {size} differ"
    facts = {property.key: property.value for property in model.metadata_props}
    return by_column(outputs, json.loads(facts["tasks"]))


def with_torch(path, rows):
    """What a Python file gives for all rows."""
    done = subprocess.run([sys.executable, path, rows], check=True, capture_output=True, text=True)
    columns = table(io.StringIO(done.stdout))
    return {name: np.array(cells, object) for name, cells in columns.items()}


def main():
    path, rows, predictions = sys.argv[1:]
    found = (with_torch if path.endswith(".py") else with_onnxruntime)(path, rows)
    wanted = read_csv(predictions)
    wrong, largest = 0, 0.0
    assert list(wanted)[-len(found) :] == list(found), (list(wanted), list(found))
    for name, values in found.items():
        cells = wanted[name]
        try:
            expected = np.array(cells, np.float64)
        except ValueError:
            wrong += int(np.sum(np.array(cells, object) != values))
            continue
        values = values.astype(np.float64)
        assert np.isfinite(values).all(), f"{name}: not finite"
        size = np.maximum(np.abs(expected), np.finfo(np.float32).tiny)
        if np.any(expected < 0) or np.any(expected > 1):  # numbers near 0 are differences
            size = np.maximum(size, np.std(expected))
        largest = max(largest, float(np.max(np.abs(values - expected) / size)))
    count = len(next(iter(found.values())))
    told = f"{wrong} classes differ, largest relative difference {largest:.1e}"
    print(f"{path}: {count} rows, {told}")
    sys.exit(wrong > 0 or largest > 1e-5)


main()
