"""Writes the parts of the Hebrew treebank: train.conllu, valid.conllu and test.conllu.

python3 to_conllu.py FOLDER         reads FOLDER/ud_fixed.conllu, writes beside it

Sentences stay as they are. The comment `# set =` says which part a sentence is of; `dev` is the
validation part. Training sentences that have the same words as a test sentence are left out.
"""

import sys
from pathlib import Path

PARTS = {"train": "train", "dev": "valid", "test": "test"}


def words(sentence):
    lines = sentence.split("\n")
    return tuple(line.split("\t")[1] for line in lines if not line.startswith("#"))


folder = Path(sys.argv[1])
parts = {name: [] for name in PARTS}
for sentence in (folder / "ud_fixed.conllu").read_text("utf-8").strip("\n").split("\n\n"):
    comments = dict(
        line[2:].split(" = ", 1) for line in sentence.split("\n") if line.startswith("# ")
    )
    parts[comments["set"]].append(sentence)

tested = set(map(words, parts["test"]))
parts["train"] = [sentence for sentence in parts["train"] if words(sentence) not in tested]
for name, part in parts.items():
    text = "".join(sentence + "\n\n" for sentence in part)
    (folder / f"{PARTS[name]}.conllu").write_text(text, "utf-8", newline="\n")
