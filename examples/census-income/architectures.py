"""Prints a table of the runs NAME-SEED in a directory: python3 architectures.py DIRECTORY"""

import json
import pathlib
import statistics
import sys


def shown(values):
    """Returns the mean of the values with their standard deviation."""
    text = f"{statistics.mean(values):.4f}"
    return f"{text} ± {statistics.stdev(values):.4f}" if len(values) > 1 else text


def parameters(run):
    """Returns the number of parameters of a run's model, by the header of its tensors."""
    data = (run / "model" / "model.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    header.pop("__metadata__", None)
    sizes = (t["data_offsets"][1] - t["data_offsets"][0] for t in header.values())
    return sum(sizes) // 4


runs = {}
for path in pathlib.Path(sys.argv[1]).glob("*/metrics.jsonl"):
    points = [json.loads(line) for line in path.read_text().splitlines()]
    name = path.parent.name.rsplit("-", 1)[0]
    runs.setdefault(name, []).append((path.parent, points[-1]))

tasks = list(next(iter(runs.values()))[0][1]["tasks"])
print(f"| kind | parameters | {' | '.join(tasks)} | seconds |")
print(f"|---|---|{'---|' * len(tasks)}---|")
for name, found in sorted(runs.items()):
    assert all(point["split"] == "test" for _, point in found), name
    auc = [shown([point["tasks"][task]["auc"] for _, point in found]) for task in tasks]
    seconds = statistics.median(point["seconds"] for _, point in found)
    print(f"| {name} | {parameters(found[0][0])} | {' | '.join(auc)} | {seconds:.0f} |")
