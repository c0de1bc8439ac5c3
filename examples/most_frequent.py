"""Prints what the most frequent label of each word scores: the least that a network has to beat.

python3 most_frequent.py TRAIN TEST LABEL …
    [--columns NAME,NAME,…] [--predicate COLUMN=VALUE] [--digits]

TRAIN and TEST are files of sentences. `--columns` names the columns of a line, by default the ten
of CoNLL-U; the first one, or `form`, is the word. `--digits` takes all digits of a word for the
same. A LABEL is

- a column, or a key in a column, such as `feats.Gender`: each word has the label that it has most
  often in TRAIN. A word that is not there has the most frequent label of all.
- the key of a comment, such as `intent`: each sentence has the most frequent label of TRAIN.
- `argument`, with `--predicate`: each token, once for each predicate of its sentence, has the label
  that is most frequent for its distance to the predicate and its `upos`.

Accuracy is that of tokens, or of sentences. F1 is that of spans for tags (`B-X I-X E-X S-X O`), as
conlleval has it; and that of all labels but `O` for `argument`.
"""

import argparse
import re
from collections import Counter, defaultdict

CONLLU = "id,form,lemma,upos,xpos,feats,head,deprel,deps,misc"
COMMENT = re.compile("# *([^\t=]+?) *= *([^\t]*?) *")
TAG = re.compile("O|[BIES]-.+")
# The last distance of each group of tokens that are far from the predicate.
GROUPS = (1, 2, 3, 4, 5, 7, 10, 15, 30)


def sentences(path, columns):
    """Pairs of comments and tokens, a dictionary each."""
    comments, tokens = {}, []
    with open(path, encoding="utf-8") as file:
        for line in [*file, "\n"]:
            line = line.rstrip("\r\n")
            cells = line.split("\t") if "\t" in line else line.split()
            if not cells:
                if tokens:
                    yield comments, tokens
                comments, tokens = {}, []
            elif not tokens and (comment := COMMENT.fullmatch(line)):
                comments[comment[1]] = comment[2]
            elif len(cells) != len(columns):
                raise SystemExit(f"{path}: {len(cells)} cells, {len(columns)} columns: {line}")
            else:
                token = dict(zip(columns, cells))
                if columns[0] != "id" or token["id"].isdigit():
                    tokens.append(token)


def label_of(token, name):
    """Cell of a column, or the value of a key in it."""
    if name in token:
        return token[name]
    column, _, key = name.partition(".")
    if column not in token:
        raise SystemExit(f"no column and no comment is called {name}")
    pairs = (pair.partition("=") for pair in token[column].split("|"))
    return next((value for found, _, value in pairs if found == key), "_")


def distance(step):
    """Group of distances that a distance is in."""
    far = next((last for last in GROUPS if abs(step) <= last), GROUPS[-1] + 1)
    return far if step > 0 else -far if step < 0 else 0


def spans(tags):
    """Spans of a sentence: their type, their first token and the one behind them."""
    found, begin, kind, last = [], None, None, "O"
    for place, tag in enumerate([*tags, "O"]):
        letter, _, name = tag.partition("-")
        if not (letter in "IE" and last in "BI" and name == kind):
            if begin is not None:
                found.append((kind, begin, place))
            begin, kind = (None, None) if letter == "O" else (place, name)
        last = letter
    return found


def f1(found, wanted):
    """F1 of two sets, or nothing where one is empty."""
    return 2 * len(found & wanted) / (len(found) + len(wanted)) if found and wanted else None


def by_word(data, name, word):
    """Per sentence, the word and the label of each token."""
    return [[(word(token), label_of(token, name)) for token in tokens] for _, tokens in data]


def by_sentence(data, name):
    """Per sentence, nothing and its label."""
    return [[("", comments.get(name))] for comments, _ in data]


def by_predicate(data, predicate):
    """Per sentence and predicate, distance and tag, and the label of each token as its argument."""
    column, _, value = predicate.partition("=")
    rows = []
    for _, tokens in data:
        for verb, token in enumerate(tokens):
            if label_of(token, column) == value:
                rows.append([
                    (
                        (distance(place - verb), other["upos"]),
                        other["deprel"] if other["head"] == token["id"] else "O",
                    )
                    for place, other in enumerate(tokens)
                ])
    return rows


def learn(rows):
    """A function from a key to the label that it has most often."""
    counts, whole = defaultdict(Counter), Counter()
    for key, label in (pair for row in rows for pair in row):
        counts[key][label] += 1
        whole[label] += 1
    labels = {key: count.most_common(1)[0][0] for key, count in counts.items()}
    default = whole.most_common(1)[0][0]
    return lambda key: labels.get(key, default)


def of_arguments(rows):
    """Places of all labels but `O`, with the label."""
    return {
        (row, place, label)
        for row, labels in enumerate(rows)
        for place, label in enumerate(labels)
        if label != "O"
    }


def of_spans(rows):
    """All spans, with their sentence."""
    return {(row, *span) for row, tags in enumerate(rows) for span in spans(tags)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("labels", nargs="+")
    parser.add_argument("--columns", default=CONLLU)
    parser.add_argument("--predicate")
    parser.add_argument("--digits", action="store_true")
    options = parser.parse_args()
    columns = options.columns.split(",")
    form = "form" if "form" in columns else columns[0]

    def word(token):
        return re.sub(r"\d", "0", token[form]) if options.digits else token[form]

    parts = [list(sentences(path, columns)) for path in (options.train, options.test)]
    print(f"{'label':<16}{'labelled':>9}{'accuracy':>10}{'f1':>8}")
    for name in options.labels:
        parted = None
        if name == "argument" and options.predicate:
            train, test = (by_predicate(part, options.predicate) for part in parts)
            parted = of_arguments
        elif name in parts[0][0][0]:
            train, test = (by_sentence(part, name) for part in parts)
        else:
            train, test = (by_word(part, name, word) for part in parts)
            if all(TAG.fullmatch(label) for row in train for _, label in row):
                parted = of_spans
        most_frequent = learn(train)
        wanted = [[label for _, label in row] for row in test]
        found = [[most_frequent(key) for key, _ in row] for row in test]
        hits = [a == b for rows in zip(found, wanted) for a, b in zip(*rows)]
        score = f1(parted(found), parted(wanted)) if parted else None
        shown = "" if score is None else f"{score:8.4f}"
        print(f"{name:<16}{len(hits):>9}{sum(hits) / len(hits):>10.4f}{shown}")


if __name__ == "__main__":
    main()
