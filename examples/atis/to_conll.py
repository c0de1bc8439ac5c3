"""Writes the sentences of ATIS as CoNLL files: train.conll, valid.conll and test.conll.

python3 to_conll.py FOLDER          reads FOLDER/train_dev and FOLDER/test, writes beside them

A line of the source is `token:slot token:slot <=> intent`. A token becomes a line with the columns
word, slot, role and type; the intent becomes a comment. The slot `B-fromloc.city_name` has the role
`B-fromloc` and the type `B-city_name`; a slot without a point has the role `B-none`. The last 500
lines of train_dev are the validation part.
"""

import sys
from pathlib import Path

VALID = 500


def role_and_type(slot):
    letter, dash, name = slot.partition("-")
    role, point, kind = name.partition(".")
    if not dash:
        return "O", "O"
    return (f"{letter}-{role}", f"{letter}-{kind}") if point else (f"{letter}-none", slot)


def sentence(line):
    tokens, intent = line.rsplit(" <=> ", 1)
    lines = [f"# intent = {intent.strip()}"]
    for token in tokens.split():
        word, slot = token.rsplit(":", 1)
        lines.append("\t".join((word, slot, *role_and_type(slot))))
    return "\n".join(lines) + "\n\n"


folder = Path(sys.argv[1])
lines = {
    name: [line for line in (folder / name).read_text("utf-8").split("\n") if line.strip()]
    for name in ("train_dev", "test")
}
parts = {
    "train": lines["train_dev"][:-VALID],
    "valid": lines["train_dev"][-VALID:],
    "test": lines["test"],
}
for name, part in parts.items():
    text = "".join(map(sentence, part))
    (folder / f"{name}.conll").write_text(text, "utf-8", newline="\n")
