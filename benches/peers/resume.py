"""Kills a training run in the middle of an epoch, continues it, and compares the final weights with
those of a run that was not interrupted.

python3 benches/peers/resume.py [--tandem PATH] [--python PATH | --venv DIR] [--steps-before-kill N]

Four programs train the same network (16 inputs, 64-64, dropout, two tasks of four classes, Adam,
batch 50) on the same 2,000 rows, and save every 100 steps:

plain      a PyTorch loop that saves model and optimizer, as most loops do
careful    the plain loop, which also saves PyTorch's generator, the sampler's generator, and the
           place in the epoch
lightning  PyTorch Lightning with ModelCheckpoint, continued by fit(ckpt_path=...)
tandem     tandem train, continued by tandem train --resume

Each program runs twice without interruption (a difference between these two is not the fault of
resuming), and once more, killed with SIGKILL and continued. --venv names a directory; if it is not
there, a virtual environment with torch, lightning and numpy is made there. Without --python and
--venv, the interpreter that runs this script is used.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROWS, WIDTH, CLASSES, BATCH, EPOCHS, EVERY = 2_000, 16, 4, 50, 20, 100
PACKAGES = ["torch==2.15.0", "lightning==2.6.6", "numpy"]
PEERS = ["plain", "careful", "lightning"]

CONFIG = f"""
[data]
train = "train.csv"
split = [1.0, 0.0, 0.0]
[trunk]
layers = [64, 64]
dropout = 0.2
[task.a]
[task.b]
[optimizer]
learning_rate = 1e-3
[train]
epochs = {EPOCHS}
batch_size = {BATCH}
checkpoint_every = "{EVERY}s"
"""


# ---- the peers: each runs in a process of its own ----


def rows():
    """Features [ROWS, WIDTH] and two labels per row that depend on them [ROWS, 2]."""
    import torch

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS, WIDTH, generator=generator)
    labels = [(x @ torch.randn(WIDTH, CLASSES, generator=generator)).argmax(1) for _ in range(2)]
    return x, torch.stack(labels, 1)


def network():
    import torch
    from torch import nn

    torch.manual_seed(0)
    dense = [
        nn.Linear(WIDTH, 64),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(64, 64),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(64, 2 * CLASSES),
    ]
    return nn.Sequential(*dense)


def loss_of(model, x, y):
    from torch.nn.functional import cross_entropy

    z = model(x)
    return cross_entropy(z[:, :CLASSES], y[:, 0]) + cross_entropy(z[:, CLASSES:], y[:, 1])


def loader(generator=None):
    import torch

    return torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(*rows()), batch_size=BATCH, shuffle=True, generator=generator
    )


def replace(state, path):
    import torch

    torch.save(state, path + ".new")
    os.replace(path + ".new", path)


def loop(folder, die_after, careful):
    """Trains with a plain loop; `careful`: saves all that has a state, which few loops do."""
    import torch

    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    sampler = torch.Generator().manual_seed(1)
    step, place, saved = 0, 0, folder + "/saved.pt"
    if os.path.exists(saved):
        state = torch.load(saved)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
        if careful:
            place = state["place"]
            sampler.set_state(state["sampler"])
    batches = loader(sampler if careful else None)
    while step < EPOCHS * ROWS // BATCH:
        epoch = sampler.get_state()
        for number, (x, y) in enumerate(batches):
            if number < place:
                continue
            if careful and number == place and place:
                torch.set_rng_state(state["torch"])
            place = 0
            optimizer.zero_grad()
            loss_of(model, x, y).backward()
            optimizer.step()
            step += 1
            if step % EVERY == 0:
                state = {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "step": step,
                }
                if careful:
                    state |= {"torch": torch.get_rng_state(), "sampler": epoch, "place": number + 1}
                replace(state, saved)
            if step == die_after:
                os.kill(os.getpid(), signal.SIGKILL)
            if step == EPOCHS * ROWS // BATCH:
                break
    return model


def lightning(folder, die_after):
    import logging
    import warnings

    import lightning as pl
    import torch

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")

    class Net(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = network()

        def training_step(self, batch, _):
            return loss_of(self.net, *batch)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=1e-3)

        def on_train_batch_end(self, *_):
            if self.global_step == die_after:
                os.kill(os.getpid(), signal.SIGKILL)

    pl.seed_everything(0, verbose=False)
    keep = pl.pytorch.callbacks.ModelCheckpoint(
        dirpath=folder,
        filename="saved",
        every_n_train_steps=EVERY,
        save_top_k=1,
        enable_version_counter=False,
    )
    trainer = pl.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        devices=1,
        callbacks=[keep],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        deterministic=True,
    )
    module, saved = Net(), folder + "/saved.ckpt"
    trainer.fit(module, loader(), ckpt_path=saved if os.path.exists(saved) else None)
    return module.net


def child(name, folder, die_after):
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    model = (
        lightning(folder, die_after)
        if name == "lightning"
        else loop(folder, die_after, name == "careful")
    )
    flat = torch.cat([p.detach().flatten() for p in model.parameters()])
    pathlib.Path(folder, "final").write_bytes(flat.numpy().astype("<f4").tobytes())


# ---- starting them ----


def run_peer(python, name, folder, die_after=-1):
    command = [
        python,
        __file__,
        "--child",
        name,
        "--folder",
        str(folder),
        "--steps-before-kill",
        str(die_after),
    ]
    code = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    expected = -signal.SIGKILL if die_after >= 0 else 0
    if code.returncode != expected:
        sys.exit(f"{name}: exit {code.returncode}\n{code.stderr[-2000:]}")


def peer(python, name, root, kill):
    finals = []
    for run, die_after in [("first", -1), ("second", -1), ("killed", kill)]:
        folder = root / f"{name}-{run}"
        folder.mkdir()
        run_peer(python, name, folder, die_after)
        if die_after >= 0:
            run_peer(python, name, folder)
        finals.append((folder / "final").read_bytes())
    return finals


def tensors(path):
    """The weights of a safetensors file: all bytes after the header."""
    contents = path.read_bytes()
    return contents[8 + int.from_bytes(contents[:8], "little") :]


def tandem(program, root, kill):
    (root / "net.toml").write_text(CONFIG)
    finals = []
    train = [program, "train", str(root / "net.toml"), "--quiet", "--out"]
    for run in ["first", "second", "killed"]:
        folder = root / f"tandem-{run}"
        if run == "killed":
            process = subprocess.Popen([*train, str(folder)], stdout=subprocess.DEVNULL)
            while not (folder / "checkpoints" / f"step-{kill // EVERY * EVERY}").exists():
                if process.poll() is not None:
                    sys.exit("tandem ended before it was killed")
                time.sleep(0.001)
            process.kill()
            if process.wait() != -signal.SIGKILL:
                sys.exit("tandem was not killed")
            subprocess.run(
                [program, "train", "--resume", str(folder), "--quiet"],
                check=True,
                stdout=subprocess.DEVNULL,
            )
        else:
            subprocess.run([*train, str(folder)], check=True, stdout=subprocess.DEVNULL)
        finals.append(tensors(folder / "last" / "model.safetensors"))
    return finals


def compared(one, other):
    """Returns the share of the weights that differ, the largest difference, and the norm of the
    difference divided by the norm of the weights."""
    import array

    a, b = array.array("f", one), array.array("f", other)
    differences = [abs(x - y) for x, y in zip(a, b, strict=True)]
    norm = sum(d * d for d in differences) ** 0.5 / sum(x * x for x in a) ** 0.5
    return sum(d > 0 for d in differences) / len(a), max(differences), norm


def says(one, other):
    share, most, norm = compared(one, other)
    return (
        "the same bytes"
        if one == other
        else f"{share:.1%} of the weights differ, by {most:.2g} at most, {norm:.2%} in norm"
    )


def write_table(python, root):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import resume; x, y = resume.rows(); "
        "print(','.join([*(f'x{i}' for i in range(resume.WIDTH)), 'a', 'b'])); "
        "[print(','.join([*(repr(v) for v in f), *map(str, l)])) "
        "for f, l in zip(x.tolist(), y.tolist())]"
    )
    text = subprocess.run(
        [python, "-c", code, str(pathlib.Path(__file__).parent)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    (root / "train.csv").write_text(text)


def interpreter(arguments):
    if arguments.venv is None:
        return arguments.python or sys.executable
    python = pathlib.Path(arguments.venv, "bin", "python")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", arguments.venv], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return str(python)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tandem", default="target/release/tandem")
    parser.add_argument("--python")
    parser.add_argument("--venv")
    parser.add_argument("--steps-before-kill", type=int, default=310)
    parser.add_argument("--json", help="write the figures there too")
    parser.add_argument("--child", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments.child, arguments.folder, arguments.steps_before_kill)
    python, kill = interpreter(arguments), arguments.steps_before_kill
    root = pathlib.Path(tempfile.mkdtemp())
    results = {}
    try:
        write_table(python, root)
        for name in [*PEERS, "tandem"]:
            run = (
                tandem(os.path.abspath(arguments.tandem), root, kill)
                if name == "tandem"
                else peer(python, name, root, kill)
            )
            first, second, killed = run
            results[name] = {"again": compared(first, second), "killed": compared(first, killed)}
            print(f"| {name} | {says(first, second)} | {says(first, killed)} |", flush=True)
    finally:
        shutil.rmtree(root)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
