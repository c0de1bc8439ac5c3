"""Measures tandem and other programs for the same work in turn, and writes one Markdown table.

python3 benches/peers/run.py [--python PATH] [--device cpu|cuda] [--workloads W1,W2,W3,large]
                             [--rounds N] [--out FILE] [--json FILE]

This script needs only Python's standard library; the interpreter that --python names needs PyTorch.
README.md says what is compared.
"""

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROWS = 10_000
REPEATS = 5  # measurements of tandem and of every peer in each round


@dataclasses.dataclass(frozen=True)
class Shape:
    """A network with the trunk inputs-width-width and heads of ten classes."""

    inputs: int
    width: int
    heads: int
    batch: int

    def __str__(self):
        return f"{self.inputs}-{self.width}-{self.width}, {self.heads} heads, batch {self.batch}"


WORKLOADS = {
    "W1": Shape(784, 128, 2, 128),
    "W2": Shape(64, 128, 3, 128),
    "W3": Shape(784, 512, 4, 256),
    "large": Shape(4096, 4096, 8, 8192),
}
GEMM = (768, 768, 512)
PRODUCTS = {"nn": "A·B", "nt": "A·Bᵀ", "tn": "Aᵀ·B"}


class Failure(Exception):
    """Why there is no measurement, in one line."""


def reason(stderr):
    """The line of an error output that most likely names the cause."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    panics = [after for line, after in zip(lines, lines[1:]) if " panicked at " in line]
    exceptions = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Interrupt)\b", line)]
    errors = [line for line in lines if re.match(r"(\S+: )?error\b", line)]
    found = panics[:1] or exceptions[-1:] or errors[-1:] or lines[-1:] or ["nothing on stderr"]
    return found[0] if len(found[0]) <= 200 else found[0][:199] + "…"


def ending(code):
    return f"signal {-code}" if code < 0 else f"exit {code}"


def ask(command, timeout, folder=None):
    """Runs a program and returns the JSON document that it prints."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            timeout=timeout,
            capture_output=True,
            text=True,
        )
    except OSError as error:
        raise Failure(f"{command[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise Failure(f"not done after {timeout:g} s") from None
    if done.returncode != 0:
        raise Failure(f"{ending(done.returncode)}: {reason(done.stderr)}")
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise Failure("its output is not JSON") from None


class Tandem:
    """The program with some flags; `name` says which."""

    def __init__(self, options, name, *flags):
        self.options, self.name, self.flags = options, name, flags

    def ask(self, *arguments):
        command = [self.options.tandem, "bench", *arguments, *self.flags, "--json"]
        answer = ask(command, self.options.timeout)
        if answer.get("fallback"):
            raise Failure(answer["fallback"])
        return answer

    def step(self, shape):
        flags = {
            "inputs": shape.inputs,
            "trunk": f"{shape.width},{shape.width}",
            "classes": ",".join(["10"] * shape.heads),
            "batch": shape.batch,
            "rows": ROWS,
            "coupling": "soft_sharing",
        }
        flags = [text for flag, value in flags.items() for text in (f"--{flag}", value)]
        short = self.ask("step", *flags, "--steps", REPEATS)
        each = short["ms_per_step"]["min"]
        steps = REPEATS * max(1, min(100_000, int(1e3 * self.options.seconds / each)))
        return self.ask("step", *flags, "--steps", steps)

    def gemm(self, m, n, k):
        return self.ask("gemm", "--m", m, "--n", n, "--k", k)


class Torch:
    def __init__(self, mode, options):
        self.name, self.mode, self.options = f"torch {mode}", mode, options

    def ask(self, script, *arguments):
        flags = ["--device", self.options.device, "--seconds", self.options.seconds]
        return ask([self.options.python, HERE / script, *arguments, *flags], self.options.timeout)

    def step(self, shape):
        return self.ask(
            "torch_step.py",
            shape.batch,
            shape.width,
            shape.inputs,
            shape.heads,
            self.mode,
            "--rows",
            ROWS,
        )

    def gemm(self, m, n, k):
        return self.ask("torch_gemm.py", m, n, k)


class Burn:
    """One backend of Burn; `program` is a command, or the `Failure` that says why there is none."""

    def __init__(self, backend, program, options):
        self.name, self.backend, self.program, self.options = (
            f"burn {backend}",
            backend,
            program,
            options,
        )

    def step(self, shape):
        if isinstance(self.program, Failure):
            raise self.program
        sizes = [shape.batch, shape.width, shape.inputs, shape.heads, ROWS, self.options.seconds]
        return ask([*self.program, self.backend, *sizes], self.options.timeout, HERE / "burn")


def burn_program(options):
    """The command that runs Burn, which is built first if needed; or a `Failure`."""
    if not options.burn:
        return Failure("left out by --no-burn")
    if options.burn_program:
        return [options.burn_program.resolve()]
    say("building Burn; the first time takes several minutes")
    try:
        build(["cargo", "build", "--release", "--locked"], HERE / "burn")
    except Failure as failure:
        return failure
    return ["cargo", "run", "--release", "--locked", "--quiet", "--"]


def build(command, folder):
    """Runs a build and shows its progress."""
    try:
        process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    except OSError as error:
        raise Failure(f"{command[0]}: {error.strerror}") from None
    lines = []
    for line in process.stderr:
        lines.append(line)
        sys.stderr.write(line)
    if process.wait() != 0:
        raise Failure(f"does not build: {reason(''.join(lines))}")


def step_figures(name):
    return lambda answer: {name: answer["ms_per_step"]["median"]}


def gemm_figures(answer):
    return {product: answer[product]["ms"] for product in PRODUCTS}


class Entry:
    """A workload on tandem or a peer, and its measurements."""

    def __init__(self, workload, peer, measure, figures):
        self.workload, self.peer, self.measure, self.figures = workload, peer, measure, figures
        self.answers, self.failure = [], None

    def run(self, number):
        if self.failure:
            return
        try:
            answer = self.measure()
            told = ", ".join(brief(ms) for ms in self.figures(answer).values()) + " ms"
            self.answers.append(answer)
        except Failure as failure:
            told = self.failure = f"{failure}" if number == 1 else f"{failure} (in round {number})"
        except (KeyError, TypeError) as error:
            told = self.failure = f"its output lacks a figure: {error}"
        say(f"round {number} {self.workload} {self.peer}: {told}")

    def ms(self, label):
        """The median of each round."""
        return [self.figures(answer)[label] for answer in self.answers]

    def cell(self, label):
        if self.failure:
            return f"not measured: {self.failure}".replace("|", "\\|")
        ms = self.ms(label)
        spread = f" ({brief(min(ms))} to {brief(max(ms))})" if len(ms) > 1 else ""
        return brief(statistics.median(ms)) + spread


def entries(options):
    modes = ["eager", "compile"] + ["graphs"] * (options.device == "cuda")
    if options.device == "cuda":
        adapter = ["--device", options.adapter] if options.adapter else []
        tandem = Tandem(options, "tandem", *adapter)
        other = Tandem(options, "tandem mixed", "--precision", "mixed", *adapter)
    else:
        tandem = Tandem(options, "tandem", "--device", "cpu")
        other = Tandem(options, "tandem adapter", "--device", options.adapter or "auto")
    program = burn_program(options)
    torch = [Torch(mode, options) for mode in modes]
    burn = [
        Burn(backend, program, options)
        for backend in ["wgpu"] + ["ndarray"] * (options.device == "cpu")
    ]
    found = []
    for name in options.workloads:
        shape = WORKLOADS[name]
        found += [
            Entry(name, p.name, lambda p=p, s=shape: p.step(s), step_figures(name))
            for p in [tandem, other, *torch, *burn]
        ]
    if options.gemm:
        mm = Torch("mm", options)
        found += [
            Entry("gemm", p.name, lambda p=p: p.gemm(*GEMM), gemm_figures)
            for p in [tandem, other, mm]
        ]
    return found


def titles(options):
    """Maps each workload to {label of a measurement: its title in the table}."""
    found = {name: {name: f"{name}: {WORKLOADS[name]}"} for name in options.workloads}
    if options.gemm:
        found["gemm"] = {
            product: f"{text}, {'×'.join(map(str, GEMM))}" for product, text in PRODUCTS.items()
        }
    return found


def table(found, options):
    lines = ["| workload | tandem ms | peer | peer ms | tandem / peer |", "|---|---|---|---|---|"]
    for workload, labels in titles(options).items():
        tandem, *peers = [entry for entry in found if entry.workload == workload]
        for label, title in labels.items():
            lines += [row(title, label, tandem, peer) for peer in peers]
    return lines


def row(title, label, tandem, peer):
    known = not (tandem.failure or peer.failure)
    ratio = (
        brief(statistics.median(tandem.ms(label)) / statistics.median(peer.ms(label)), 3)
        if known
        else "–"
    )
    return f"| {title} | {tandem.cell(label)} | {peer.peer} | {peer.cell(label)} | {ratio} |"


def brief(number, digits=4):
    return f"{number:.0f}" if number >= 10**digits else f"{number:.{digits}g}"


def first(found, peer, *keys):
    """The values of `keys` in the first answer of a peer whose name begins with `peer`; `None` if
    there is no answer."""
    answers = [answer for entry in found if entry.peer.startswith(peer) for answer in entry.answers]
    return [answers[0][key] for key in keys] if answers else None


def facts(found, options, before):
    """Under which conditions was measured: {name: text}."""
    adapter = first(found, "tandem adapter", "adapter", "driver") or first(
        found, "tandem", "adapter", "driver"
    )
    torch = first(found, "torch", "torch", "device")
    burn = first(found, "burn wgpu", "adapter", "driver")
    return {
        "machine": f"{processor()}, {cores()} cores, {platform.system()} {platform.machine()}",
        "adapter": adapter[0] if adapter else "unknown, tandem gave no figure",
        "driver": adapter[1] if adapter else "unknown",
        "tandem": tandem_version(options),
        "torch": "{} on {}".format(*torch) if torch else "not measured",
        "burn": burn_version() + (", wgpu on {} ({})".format(*burn) if burn else ""),
        "date": datetime.date.today().isoformat(),
        "rounds": f"{options.rounds}, the median of their medians",
        "load": before,
    }


def processor():
    """The model of the CPU."""
    try:
        if sys.platform == "darwin":
            return subprocess.run(
                ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True
            ).stdout.strip()
        names = re.findall(
            r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE
        )
        return names[0] if names else platform.machine()
    except OSError:
        return platform.processor() or platform.machine()


def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def tandem_version(options):
    try:
        told = subprocess.run([options.tandem, "--version"], capture_output=True, text=True).stdout
    except OSError:
        return "not found"
    return told.removeprefix("tandem ").partition("\n")[0] or "unknown"


def load():
    """The load of the machine before the first round."""
    return f"{os.getloadavg()[0]:.2f} at the start" if hasattr(os, "getloadavg") else "unknown"


def burn_version():
    try:
        lock = (HERE / "burn" / "Cargo.lock").read_text()
    except OSError:
        return "not found"
    return re.search(r'name = "burn"\nversion = "(.+)"', lock)[1]


def raw(found, about):
    keys = ["workload", "peer", "failure", "answers"]
    shapes = {name: dataclasses.asdict(shape) for name, shape in WORKLOADS.items()}
    return {
        **about,
        "shapes": shapes,
        "gemm": GEMM,
        "entries": [{key: getattr(entry, key) for key in keys} for entry in found],
    }


def say(text):
    print(text, file=sys.stderr, flush=True)


def workloads(text):
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in WORKLOADS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(WORKLOADS)}")
    return list(dict.fromkeys(names))


def count(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1")
    return int(text)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add, switch = parser.add_argument, argparse.BooleanOptionalAction
    program = HERE.parents[1] / "target" / "release" / "tandem"
    add(
        "--tandem",
        metavar="PATH",
        default=program,
        help="the program; default: target/release/tandem of this repository",
    )
    add(
        "--python",
        metavar="PATH",
        default=sys.executable,
        help="an interpreter that has torch; default: this one",
    )
    add(
        "--adapter",
        metavar="NAME",
        help="the adapter of tandem, by index or name; default: the one that it chooses",
    )
    add("--burn", action=switch, default=True, help="build Burn and measure it")
    add(
        "--burn-program",
        metavar="PATH",
        type=pathlib.Path,
        help="a built burn/target/release/peer, where Burn cannot be built",
    )
    add(
        "--device",
        choices=["cpu", "cuda"],
        default="cpu",
        help="cpu: torch, tandem and Burn's ndarray on the processor, and on tandem's adapter; "
        "cuda: torch by CUDA, tandem on its adapter, in f32 and mixed precision",
    )
    add(
        "--workloads",
        metavar="LIST",
        type=workloads,
        default=workloads("W1,W2,W3"),
        help=f"of {','.join(WORKLOADS)}; default: W1,W2,W3",
    )
    add("--gemm", action=switch, default=True, help="measure the matrix products, too")
    add(
        "--rounds",
        metavar="N",
        type=count,
        default=3,
        help="how often everything is measured in turn; default: 3",
    )
    add(
        "--seconds",
        metavar="S",
        type=float,
        default=0.5,
        help="length of each of the five repeats; default: 0.5",
    )
    add(
        "--timeout",
        metavar="S",
        type=float,
        default=600,
        help="longest time for one measurement; default: 600",
    )
    add("--out", metavar="FILE", type=pathlib.Path, help="also write the table there")
    add("--json", metavar="FILE", type=pathlib.Path, help="write the raw figures there")
    return parser.parse_args()


def main():
    options = arguments()
    before = load()
    found = entries(options)
    for number in range(1, options.rounds + 1):
        for entry in found:
            entry.run(number)
    about = facts(found, options, before)
    text = (
        "\n".join(
            [*(f"- {name}: {value}" for name, value in about.items()), "", *table(found, options)]
        )
        + "\n"
    )
    print(text, end="")
    if options.out:
        options.out.write_text(text)
    if options.json:
        options.json.write_text(json.dumps(raw(found, about), indent=2) + "\n")


if __name__ == "__main__":
    main()
