"""Prints a table of the runs NAME-SEED in a directory: python3 architectures.py DIRECTORY

Where there are several seeds, differences from the runs shared-SEED follow, paired by seed, with
95 % intervals by Student's t."""

import json
import math
import pathlib
import statistics
import sys


def shown(values):
    """Returns the mean of the values with their standard deviation."""
    text = f"{statistics.mean(values):.4f}"
    return f"{text} ± {statistics.stdev(values):.4f}" if len(values) > 1 else text


# Quantiles .975 of Student's t by the number of seeds.
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306}


def difference(values, others):
    """Returns the mean paired difference with its interval, where there are pairs enough."""
    pairs = [a - b for a, b in zip(values, others)]
    if len(pairs) not in STUDENT or len(values) != len(others):
        return ""
    half = STUDENT[len(pairs)] * statistics.stdev(pairs) / math.sqrt(len(pairs))
    mean = statistics.mean(pairs)
    return f"{mean:+.4f} ({mean - half:+.4f}, {mean + half:+.4f})"


def parameters(run):
    """Returns the number of parameters of a run's model, by the header of its tensors."""
    data = (run / "model" / "model.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    header.pop("__metadata__", None)
    sizes = (t["data_offsets"][1] - t["data_offsets"][0] for t in header.values())
    return sum(sizes) // 4


runs = {}
for path in sorted(pathlib.Path(sys.argv[1]).glob("*/metrics.jsonl")):
    points = [json.loads(line) for line in path.read_text().splitlines()]
    name = path.parent.name.rsplit("-", 1)[0]
    runs.setdefault(name, []).append((path.parent, points[-1]))

tasks = list(next(iter(runs.values()))[0][1]["tasks"])
print(f"| kind | parameters | {' | Δ | '.join(tasks)} | Δ | seconds |")
print(f"|---|---|{'---|' * 2 * len(tasks)}---|")
for name, found in sorted(runs.items()):
    assert all(point["split"] == "test" for _, point in found), name
    cells = []
    for task in tasks:
        auc = [point["tasks"][task]["auc"] for _, point in found]
        base = [point["tasks"][task]["auc"] for _, point in runs.get("shared", [])]
        cells += [shown(auc), "" if name == "shared" else difference(auc, base)]
    seconds = statistics.median(point["seconds"] for _, point in found)
    print(f"| {name} | {parameters(found[0][0])} | {' | '.join(cells)} | {seconds:.0f} |")
