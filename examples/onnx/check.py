"""Runs an exported model with onnxruntime and compares it with what `tandem predict` wrote.

python3 check.py MODEL.onnx ROWS PREDICTIONS.csv

ROWS is the CSV or IDX file that was predicted. Needs numpy, onnx and onnxruntime. Ends with 1 where
a class differs, or a number by more than 1e-5 of its size.
"""

import csv
import json
import sys

import numpy as np
import onnx
import onnxruntime

# What tandem takes for blank in a column of numbers, of the texts that may stand in these files.
BLANK = {"", "NA", "N/A", "NaN", "nan", "?", "-"}


def read_csv(path):
    """Returns {column: texts}, without the blanks around them."""
    with open(path, newline="") as file:
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


def expected(table, tasks):
    """What tandem predicted, by output."""
    found = {}
    for task, facts in tasks.items():
        order = facts.get("classes") or facts.get("columns") or []
        numbers = [f"{task}:{name}" for name in order]
        if all(name in table for name in numbers) and numbers:
            values = np.array([table[name] for name in numbers], np.float64).T
            shares = facts["type"] in ("multiclass", "binary", "multilabel")
            found[f"{task}:probabilities" if shares else task] = values
        if task in table:
            is_class = "classes" in facts
            found[task] = np.array(table[task], object if is_class else np.float64)
    return found


def main():
    path, rows, predictions = sys.argv[1:]
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    facts = {property.key: property.value for property in model.metadata_props}
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = read_inputs(rows, session.get_inputs())
    outputs = run(session, inputs, 10**9)
    for size in (1, 7):
        for name, values in run(session, inputs, size).items():
            whole = outputs[name]
            same = np.array_equal if whole.dtype == object else np.allclose
            assert same(values, whole), f"{name}: batches of {size} differ"
    wanted = expected(read_csv(predictions), json.loads(facts["tasks"]))
    assert sorted(wanted) == sorted(outputs), (sorted(wanted), sorted(outputs))
    wrong, largest = 0, 0.0
    for name, values in wanted.items():
        if values.dtype == object:
            wrong += int(np.sum(values != outputs[name]))
            continue
        assert np.isfinite(outputs[name]).all(), f"{name}: not finite"
        size = np.maximum(np.abs(values), np.finfo(np.float32).tiny)
        largest = max(largest, float(np.max(np.abs(values - outputs[name]) / size)))
    count = len(next(iter(outputs.values())))
    print(f"{path}: {count} rows, {wrong} classes differ, largest relative difference {largest:.1e}")
    sys.exit(wrong > 0 or largest > 1e-5)


main()
