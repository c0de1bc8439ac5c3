"""Prints the tables of what run.py has measured, in Markdown.

python3 benches/conflict/tables.py [--out DIR]
"""

import argparse
import json
import math
import pathlib
import statistics
from statistics import fmean as mean

from run import SETS, score

QUALITY = ["two-digits", "digit-and-pixels"]


def load(folder):
    """{set: {method: (rate, {seed: result})}} of the runs that did not fail, each method at the
    rate with the best validation errors of seed 0."""
    found, chosen = {}, {}
    for result in [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]:
        if "failure" not in result:
            rates = found.setdefault((result["set"], result["method"]), {})
            rates.setdefault(result["rate"], {})[result["seed"]] = result
    for (data, method), rates in found.items():
        if known := [(score(seeds[0]), rate) for rate, seeds in rates.items() if 0 in seeds]:
            chosen.setdefault(data, {})[method] = min(known)[1], rates[min(known)[1]]
    return chosen


def spread(values, digits=1):
    """Mean ± standard deviation."""
    text = f"{round(mean(values), digits) + 0.0:.{digits}f}" if values else ""
    return text + (f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else "")


def table(titles, rows):
    lines = [titles, ["---"] * len(titles), *rows]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines] + [""]


def label(method):
    name, _, more = method.partition("-")
    return f"`{name}`" + (", exact" if more == "exact" else f", pixels × {more}" if more else "")


def figure(result, task):
    """What the tables of quality compare, and its sign: the accuracy or the mean squared error."""
    figures = result["test"][task]
    right = figures["metric"] == "accuracy"
    return (100 - 100 * figures["error"], 1) if right else (1000 * figures["loss"], -1)


def quality(data, methods):
    """Test figures of all methods, and their distance from separate networks in percent."""
    separate = list(methods["separate"][1].values())
    base = {task: mean(figure(r, task)[0] for r in separate) for task in separate[0]["test"]}
    titles, rows = ["method", "rate", "seeds"], []
    for task in base:
        unit = "%" if figure(separate[0], task)[1] > 0 else "mse × 1000"
        titles += [f"{task} {unit}", f"Δ {task} %"]
    for method, (rate, seeds) in methods.items():
        cells, changes = [label(method), f"{rate:g}", len(seeds)], []
        for task, usual in base.items():
            pairs = [figure(result, task) for result in seeds.values()]
            changes.append([100 * sign * (value / usual - 1) for value, sign in pairs])
            cells += [spread([value for value, _ in pairs], 2), spread(changes[-1], 2)]
        both = [mean(each) for each in zip(*changes)]
        seconds = statistics.median(result["seconds"] for result in seeds.values())
        rows.append((-mean(both), [*cells, spread(both, 2), f"{seconds:.0f}"]))
    return [f"## {data}", "", *table(titles + ["Δ mean %", "s"], [r for _, r in sorted(rows)])]


def gains(results, reference, split):
    """By seed the mean over tasks of how much smaller the error is than that of the reference, in
    percent of the mean of the reference."""
    seeds = [seed for seed in results if seed in reference]
    total = [0.0] * len(seeds)
    tasks = reference[seeds[0]][split] if seeds else []
    for task in tasks:
        before = [reference[seed][split][task]["error"] for seed in seeds]
        after = [results[seed][split][task]["error"] for seed in seeds]
        base = max(mean(before), 1e-6)
        total = [t + 100 * (b - a) / base for t, b, a in zip(total, before, after)]
    return [t / len(tasks) for t in total]


def conflict(results):
    """(alignment, norm ratio) of runs that observed: means over the observed steps, then over the
    runs."""
    alignments, ratios = [], []
    for points in [result["conflict"] for result in results if result["conflict"]]:
        steps = [p["steps"] for p in points]
        cosine = mean([p["mean_cosine"] for p in points], steps)
        tasks = points[0]["norms"]
        norms = [mean([p["norms"][task] for p in points], steps) for task in tasks]
        alignments.append(cosine * math.sqrt(len(norms)))
        ratios.append(max(norms) / max(min(norms), 1e-12))
    return (mean(alignments), mean(ratios)) if ratios else None


def sets(found):
    """The table of the sets, and how often the rule was right."""
    rows, hits = [], {"likely": [], "open": [], "unlikely": []}
    for data in [name for name in SETS + QUALITY if name in found]:
        methods = found[data]
        rate, reference = methods.pop("none", (None, {}))
        _, separate = methods.pop("separate", (None, {}))
        candidates = []
        for method, (_, results) in methods.items():
            gain = gains(results, reference, "valid")
            if "-" not in method and len(gain) >= min(2, max(1, len(reference))):
                candidates.append((mean(gain), method))
        measured = conflict(reference.values())
        if measured is None or not candidates:
            continue
        best = max(candidates)[1]
        gain = gains(methods[best][1], reference, "test")
        gained = len(gain) > 1 and mean(gain) > max(0.5, statistics.stdev(gain))
        alignment, ratio = measured
        told = "unlikely" if alignment > 1.1 else "open"
        told = "likely" if alignment < 0.8 or ratio > 10 else told
        hits[told].append(gained)
        cells = [data, len(reference[0]["test"]), f"{rate:g}"]
        cells += [f"{alignment:.3f}", f"{ratio:.3g}", label(best), spread(gain)]
        cells += ["yes" if gained else "no", told, spread(gains(separate, reference, "test"))]
        rows.append((*measured, cells))
    titles = "set,k,rate,alignment,norm ratio,best balancer,gain %,gains,rule,separate %"
    cells = [cells for *_, cells in sorted(rows, reverse=True)]
    lines = ["## sets", "", *table(titles.split(","), cells)]
    counts = [[told, f"{sum(gained)} of {len(gained)}"] for told, gained in hits.items()]
    lines += table(["rule", "the best balancer gained"], counts)
    right = sum(hits["likely"]) + len(hits["unlikely"]) - sum(hits["unlikely"])
    lines.append(f"Right: {right} of {len(hits['likely'] + hits['unlikely'])} that are not open.")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, default="runs/conflict", help="as for run.py")
    found = load(parser.parse_args().out / "runs")
    for data in [data for data in QUALITY if "separate" in found.get(data, {})]:
        print("\n".join(quality(data, found[data])))
    print("\n".join(sets(found)))


if __name__ == "__main__":
    main()
