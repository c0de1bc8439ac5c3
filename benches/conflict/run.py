"""Trains sets of tasks with and without balancers, and keeps what each run measured.

python3 benches/conflict/run.py PHASE ... [--out DIR] [--program PATH]

A run is one file, DIR/runs/SET_METHOD_RATE_SEED.json. What has a file is not run again, so this
can be stopped (Ctrl-C waits for the runs under way) and started again. tables.py prints the tables.
"""

import argparse
import concurrent.futures
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
words = str.split
LOSSES = words("log geometric uncertainty dwa random imtl_l stch famo gradnorm")
GRADIENTS = words("mgda pcgrad gradvac cagrad imtl_g nash_mtl fairgrad aligned_mtl upgrad")
GRADIENTS += words("dual_proj config graddrop")
EXACT = [f"{m}-exact" for m in words("mgda upgrad cagrad imtl_g nash_mtl aligned_mtl")]
ALL = ["separate", "none", *LOSSES, *GRADIENTS, *EXACT]
FEW = words("none separate upgrad imtl_g famo cagrad uncertainty log")
SETS = words(
    "compete-2 compete-2-raw compete-8 compete-8-raw energy energy-raw digits-4 digits-10"
    " digits-noise yeast-14 star diamonds diamonds-raw weather weather-raw flights flights-raw"
    " class-reconstruct multimnist mnist-two-tasks census-2 census-4 census-4-raw"
)
PHASES = ["two-digits", "digit-and-pixels", "sets"]


def error(figures):
    """Of a task, with its loss: 1 - AUC, 1 - accuracy, or the root of the mean squared error."""
    metric = next(name for name in ("auc", "accuracy", "rmse") if name in figures)
    value = figures[metric] if metric == "rmse" else 1 - figures[metric]
    return {"metric": metric, "error": value, "loss": figures["loss"]}


def score(result):
    """Mean over tasks of the logarithm of the validation error: lower is better."""
    errors = [max(task["error"], 1e-6) for task in result["valid"].values()]
    return sum(map(math.log, errors)) / len(errors)


def settings(method):
    """The keys that a method sets. NAME-exact has the gradients of all shared parameters, none-N
    no balancer but weight N for the task `pixels`."""
    name, _, more = method.partition("-")
    if name == "separate":
        return ["architecture.kind=separate"]
    if name == "none":
        return ["balance.observe=10"] + ([f"task.pixels.weight={more}"] if more else [])
    space = "parameters" if more else "representation"
    return [f"balance.method={name}"] + ([f"balance.space={space}"] if name in GRADIENTS else [])


def points(path):
    """What was observed about conflict in a run: at each training point the observed steps, the
    mean cosine, and the norms of the tasks' gradients."""
    found = []
    for point in map(json.loads, path.read_text().splitlines()):
        if point["split"] == "train" and (seen := point.get("conflict")):
            norms = {task: figures["norm"] or 0.0 for task, figures in seen["tasks"].items()}
            found.append({key: seen[key] for key in ("steps", "mean_cosine")} | {"norms": norms})
    return found


class Runner:
    def __init__(self, options):
        self.options, self.stopped = options, threading.Event()
        self.folder = options.out / "runs"
        self.folder.mkdir(parents=True, exist_ok=True)

    def run(self, data, method, rate, seed):
        """One run; gives its result, or None where it failed or is not to be started any more."""
        key = f"{data}_{method}_{rate:g}_{seed}"
        path = self.folder / f"{key}.json"
        if path.exists():
            result = json.loads(path.read_text())
            return None if "failure" in result else result
        if self.stopped.is_set():
            return None
        config, out = self.options.out / "configs" / f"{data}.toml", self.options.out / "now" / key
        command = [self.options.program.resolve(), "train", config, "--json", "-q", "--out", out]
        command += ["--seed", str(seed)]
        for pair in [f"optimizer.learning_rate={rate}", *settings(method)]:
            command += ["--set", pair]
        shutil.rmtree(out, ignore_errors=True)
        result, start = {"set": data, "method": method, "rate": rate, "seed": seed}, time.time()
        result |= self.train(command, out)
        result["seconds"] = round(time.time() - start, 2)
        shutil.rmtree(out, ignore_errors=True)
        path.with_suffix(".part").write_text(json.dumps(result) + "\n")
        path.with_suffix(".part").replace(path)
        print(f"{key}: {result['seconds']:.1f} s", result.get("failure", ""), flush=True)
        return None if "failure" in result else result

    def train(self, command, out):
        """Its figures, or why there are none. One thread for each run where a CPU plays the GPU; a
        group of its own, so that Ctrl-C does not reach it."""
        how = {"env": {"LP_NUM_THREADS": "1"} | os.environ, "start_new_session": True}
        done = subprocess.run(command, check=False, capture_output=True, text=True, **how)
        if done.returncode < 0:
            raise SystemExit(f"run: signal {-done.returncode} ended {out.name}")
        if done.returncode:
            return {"failure": f"exit {done.returncode}: {done.stderr.strip()[-600:]}"}
        result = {"conflict": points(out / "metrics.jsonl")}
        for split in ("valid", "test"):
            tasks = json.loads(done.stdout)[split]["tasks"].items()
            result[split] = {task: error(figures) for task, figures in tasks}
        return result

    def chain(self, data, method, rates, tuned=None):
        """All seeds of a method, at the rate that has the best validation errors for the first seed
        with this method or, where it is given, the method `tuned`."""
        first = [(self.run(data, tuned or method, rate, 0), rate) for rate in rates]
        known = [(score(result), rate) for result, rate in first if result]
        for seed in range(self.options.seeds) if known else ():
            self.run(data, method, min(known)[1], seed)


def stages(phase, sets, wanted):
    """The chains of a phase, in stages; those of a stage do not wait for each other."""
    methods = [method for method in ALL if method in wanted]
    if phase == "two-digits":
        return [[(phase, method, [1e-3]) for method in methods]]
    if phase == "sets":
        rates = [1e-3, 3e-3, 1e-2, 3e-2]
        return [[(data, m, rates) for data in sets for m in methods if m in FEW]]
    rates, basic = [3e-4, 1e-3, 3e-3], ["none", "separate"]
    rest = [(phase, m, rates, "none") for m in methods if m not in basic]
    rest += [(phase, f"none-{w}", rates, "none") for w in (10, 30, 100) if "none" in methods]
    return [[(phase, m, rates) for m in methods if m in basic], rest]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add, program = parser.add_argument, ROOT / "target" / "release" / "tandem"
    add("phases", nargs="+", metavar="PHASE", choices=PHASES, help=f"of {', '.join(PHASES)}")
    add("--out", type=pathlib.Path, default="runs/conflict", help="default: runs/conflict")
    add("--program", type=pathlib.Path, default=program, help="default: target/release/tandem")
    add("--jobs", metavar="N", type=int, default=2, help="runs at a time; default: 2")
    add("--seeds", metavar="N", type=int, default=3, help="runs of each method; default: 3")
    add("--sets", metavar="SET", nargs="+", choices=SETS, default=SETS, help="only these sets")
    add("--methods", metavar="M", nargs="+", choices=ALL, default=ALL, help="only these methods")
    options = parser.parse_args()
    if not options.program.exists():
        parser.error(f"{options.program} is missing\nhint: cargo build --release")
    runner = Runner(options)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        try:
            for phase in options.phases:
                for stage in stages(phase, options.sets, options.methods):
                    for future in [pool.submit(runner.chain, *chain) for chain in stage]:
                        future.result()
        except KeyboardInterrupt:
            sys.exit("run: stopped; the runs under way end first")
        finally:
            runner.stopped.set()


if __name__ == "__main__":
    main()
