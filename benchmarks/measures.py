"""The figures of docs/measures.md: speed of code lengths, classes of news and genes, editing effort, prompts, windows.

    measures.py speed                 rows a second beside prefill, and rows beside those that must be evaluated
    measures.py matrix --cache FILE   all of 200 texts with all, in pieces of --minutes, each going on where the last ended
    measures.py news TABLE            few-shot accuracy; a table with label, title and text
    measures.py genes TABLE           the same for sequences; a table with label and sequence
    measures.py edits FILE...         phrases, Levenshtein and bits of edits that are made from the texts
    measures.py windows FILE [MODEL]  equal-info windows: bits, and what they compress to
    measures.py dates CORPUS... PART  JSON lines with date and text of the documents with PART in their names, for rank-models --by-date

Every command prints Markdown. --quick takes a few texts only.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from llmzip.codec.settings import Settings
from llmzip.measures import classes
from llmzip.measures.classes import Accuracy
from llmzip.measures.distances import NCD, distance_matrix
from llmzip.measures.lengths import contender
from llmzip.measures.model_lengths import ModelLengths
from llmzip.measures.store import StoredLengths

SEEDS = (1, 2, 3)
SHOTS = (5, 10, 50)


def short_texts(count: int) -> list[bytes]:
    """Texts of 200 bytes out of corpora/, evenly over all of them."""
    corpus = (Path(__file__).parent.parent / "corpora").glob("**/*.txt")
    data = b" ".join(path.read_bytes() for path in sorted(corpus))
    step = len(data) // 200
    return [data[i * step : i * step + 200] for i in range(200)][:count]


def speed(arguments: argparse.Namespace) -> None:
    """Texts of 200 bytes after contexts of 200 bytes, and bare prefill before and after, in turns, by processor time."""
    count, contexts = (12, 1) if arguments.quick else (200, 1)
    texts = short_texts(count)
    with ModelLengths(Settings(threads=arguments.threads)) as coder:
        session = coder.session
        tokens = np.resize(np.concatenate([coder.tokens(text) for text in texts]), 4096)

        def bare() -> float:
            evaluator = session.evaluator(1, 512, 512)
            began = time.process_time()
            for at in range(0, len(tokens), 512):
                evaluator.clear()
                evaluator.evaluate(tokens[at : at + 512], np.arange(512, dtype=np.int32), np.zeros(512, np.int32))
            return len(tokens) / (time.process_time() - began)

        bare()
        found = []
        for turn in range(2 if arguments.quick else 7):
            before = bare()
            coder.rows = coder.needed = 0
            began = time.process_time()
            wanted = np.zeros((count, count), bool)
            wanted[turn * contexts : (turn + 1) * contexts] = True
            for _ in coder.given(texts, texts, wanted):
                pass
            rate = coder.needed / (time.process_time() - began)
            prefill = 2 / (1 / before + 1 / bare())
            found.append((prefill, rate, coder.rows / coder.needed, rate / prefill))
            print(f"    turn {turn}: {prefill:,.0f} and {rate:,.0f}, {rate / prefill:.3f}", file=sys.stderr, flush=True)
    print("| prefill rows/s | needed rows/s of K(x\\|y), mixing included | of prefill | rows beside needed ones |")
    print("| ---: | ---: | ---: | ---: |")
    prefill, rate, more, share = (median(column) for column in zip(*found, strict=True))
    print(f"| {prefill:,.0f} | {rate:,.0f} | {100 * share:.0f} % | {more:.3f} |")
    shares = sorted(row[3] for row in found)
    print(
        f"\n{contexts} x {count} texts of 200 bytes a turn, {len(found)} turns, each between two of prefill, by processor time."
    )
    print(f"Medians; shares of prefill {100 * shares[0]:.0f} to {100 * shares[-1]:.0f} %.")


def matrix(arguments: argparse.Namespace) -> None:
    """The whole matrix of 200 texts of 200 bytes, stopped after so many minutes; the sum over all calls when it is done."""
    texts = short_texts(12 if arguments.quick else 200)
    until = time.monotonic() + 60 * arguments.minutes
    sums = Path(arguments.cache + ".rows")

    class Later(Exception):
        pass

    def progress(pairs: int) -> None:
        if time.monotonic() > until:
            raise Later

    coder = ModelLengths(Settings(threads=arguments.threads))
    began, ended = time.process_time(), True
    try:
        found = distance_matrix(StoredLengths(coder, arguments.cache), texts, measure="nid", progress=progress)
    except Later:
        ended = False
    with sums.open("a") as file:
        print(coder.rows, coder.needed, round(time.process_time() - began, 1), file=file)
    rows, needed, seconds = (sum(column) for column in zip(*np.loadtxt(sums, ndmin=2).tolist(), strict=True))
    print(f"{rows:,.0f} rows evaluated, {needed:,.0f} needed: {rows / needed:.3f}; {seconds:,.0f} s of processor time")
    if not ended:
        print("not all is done: call it again")
        return
    values = found.values
    print(f"{values.shape} distances of {sum(map(len, texts)):,} bytes, {np.isnan(values).sum()} gaps")
    print(
        f"diagonal at most {values.diagonal().max():.3f}, others at least {values[~np.eye(len(values), dtype=bool)].min():.3f}"
    )


def table(path: str, columns: list[str]) -> tuple[list[bytes], list[str]]:
    """Texts and labels."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return ["\n".join(row[name] for name in columns).encode() for row in rows], [row["label"] for row in rows]


def told(right: Accuracy) -> str:
    """Accuracy with its interval, in percent."""
    low, high = right.interval()
    return f"{100 * right.share:.1f} ({100 * low:.0f} to {100 * high:.0f})"


class Task:
    """Few-shot tasks on one table: labelled texts by a seed, the same test texts for all."""

    def __init__(self, texts: list[bytes], labels: list[str], tests: int) -> None:
        self.texts, self.labels = texts, np.array(labels)
        drawn = classes.few_shot(labels, tests, 99)
        self.test, self.rest = drawn, np.setdiff1d(np.arange(len(texts)), drawn)

    def split(self, shots: int, seed: int, tests: int | None = None):
        """Labelled texts with labels, test texts with labels; tests: only so many of each class."""
        known = self.rest[classes.few_shot(self.labels[self.rest].tolist(), shots, seed)]
        test = self.test
        if tests:
            test = test[classes.few_shot(self.labels[test].tolist(), tests, 7)]
        pick = lambda numbers: [self.texts[i] for i in numbers]  # noqa: E731
        return pick(known), self.labels[known], pick(test), self.labels[test]


def score(task: Task, method, shots: int, seeds=SEEDS, tests: int | None = None) -> str:
    """Accuracy over all seeds together."""
    right = count = 0
    for seed in seeds:
        known, labels, test, truth = task.split(shots, seed, tests)
        began = time.perf_counter()
        given = method(known, labels, test)
        right += int((given == truth).sum())
        count += len(truth)
        print(
            f"    {method.__name__} {shots} shots, seed {seed}: {(given == truth).mean():.3f} of {len(truth)}, {time.perf_counter() - began:.0f} s",
            file=sys.stderr,
            flush=True,
        )
    return told(Accuracy(right, count)) + f" of {count}"


def tfidf(known, labels, test):
    """TF-IDF of words with logistic regression, as scikit-learn has them."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10.0, max_iter=1000))
    return model.fit([text.decode() for text in known], labels).predict([text.decode() for text in test])


def kmers(known, labels, test):
    """Counts of 6-mers, TF-IDF, logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(analyzer="char", ngram_range=(6, 6), lowercase=False, sublinear_tf=True)
    model = make_pipeline(words, LogisticRegression(C=10.0, max_iter=1000))
    return model.fit([text.decode() for text in known], labels).predict([text.decode() for text in test])


def neighbours(coder, count: int, measure: str = NCD):
    """A vote of the nearest by a coder."""

    def method(known, labels, test):
        return classes.by_neighbours(coder, known, labels.tolist(), test, measure=measure, neighbours=count)[0]

    method.__name__ = f"{coder.name} {measure} k={count}"
    return method


def jiang(coder):
    """As their code counts: of two neighbours either may be right."""

    def method(known, labels, test):
        values = distance_matrix(coder, test, known, NCD).values
        nearest = labels[np.argsort(values, axis=1, kind="stable")[:, :2]]
        truth = method.truth
        either = (nearest == truth[:, None]).any(axis=1)
        return np.where(either, truth, nearest[:, 0])

    method.__name__ = "gzip, either of two"
    return method


def by_class(coder):
    """The class that codes the text best."""

    def method(known, labels, test):
        return classes.by_class(coder, known, labels.tolist(), test)[0]

    method.__name__ = f"{coder.name} by class"
    return method


def kept(coder, arguments: argparse.Namespace):
    """With the cache that was asked for."""
    return StoredLengths(coder, arguments.cache) if arguments.cache else coder


def news(arguments: argparse.Namespace) -> None:
    """Four classes of news."""
    task = Task(*table(arguments.files[0], ["title", "text"]), 5 if arguments.quick else 50)
    gzip = contender("gzip")
    model = kept(ModelLengths(Settings(threads=arguments.threads)), arguments)
    mixer = kept(ModelLengths(Settings(level=1)), arguments)
    rows: list[tuple[str, dict[int, str]]] = []

    def add(name: str, method, shots=SHOTS, **options) -> None:
        rows.append((name, {each: score(task, method, each, **options) for each in shots}))

    only = arguments.only.split(",") if arguments.only else None

    def wanted(name: str) -> bool:
        return only is None or name in only

    if wanted("classic"):
        add("TF-IDF and logistic regression", tfidf)
        add("gzip, k = 1 (ncd)", neighbours(gzip, 1))
        add("gzip, k = 3 (ncd)", neighbours(gzip, 3))
        either = jiang(gzip)
        either.truth = task.split(5, 1)[3]
        add("gzip, either of two nearest right (ncd)", either)
        add("gzip by class", by_class(gzip))
    if wanted("mixer"):
        add("mixer by class", by_class(mixer))
    if wanted("model"):
        add("model by class", by_class(model), seeds=SEEDS[:1])
    for count in (1, 3):
        if wanted("mixer-neighbours"):
            add(f"mixer, k = {count} (ncd)", neighbours(mixer, count))
        if wanted("model-neighbours"):
            add(f"model, k = {count} (ncd)", neighbours(model, count), shots=SHOTS[:2], seeds=SEEDS[:1])
            add(f"model, k = {count} (ncd), 48 texts", neighbours(model, count), SHOTS[2:], seeds=SEEDS[:1], tests=12)
    if wanted("classic-48"):  # what the others make of the same 48
        for name, method in (("TF-IDF and logistic regression", tfidf), ("gzip, k = 3 (ncd)", neighbours(gzip, 3))):
            add(f"{name}, 48 texts", method, SHOTS[2:], seeds=SEEDS[:1], tests=12)
            add(f"{name}, 200 texts", method, seeds=SEEDS[:1])
    printed(rows)


def genes(arguments: argparse.Namespace) -> None:
    """Seven families of genes."""
    task = Task(*table(arguments.files[0], ["sequence"]), 3 if arguments.quick else 9)
    rows: list[tuple[str, dict[int, str]]] = []
    mixer = kept(ModelLengths(Settings(level=1)), arguments)
    smallest = min(int((task.labels[task.rest] == name).sum()) for name in np.unique(task.labels))
    shots = [each for each in (5, 10) if each <= smallest]
    print(f"smallest class: {smallest} texts beside the test texts", file=sys.stderr)
    rows.append(("6-mers, TF-IDF, logistic regression", {each: score(task, kmers, each) for each in shots}))
    for name in ("gzip", "bzip2", "zstd"):
        found = {each: score(task, neighbours(contender(name, b""), 1), each) for each in shots}
        rows.append((f"{name}, k = 1 (ncd)", found))
    rows.append(("mixer, k = 1 (ncd)", {each: score(task, neighbours(mixer, 1), each) for each in shots}))
    rows.append(("mixer by class", {each: score(task, by_class(mixer), each) for each in shots}))
    printed(rows)


def edits(arguments: argparse.Namespace) -> None:
    """Edits made from paragraphs of the texts: medians of what they take."""
    import random
    import re

    from llmzip.measures.editing import efforts

    generator = random.Random(1)
    paragraphs = []
    for path in arguments.files:
        parts = [" ".join(part.split()) for part in Path(path).read_text().replace("\r\n", "\n").split("\n\n")]
        long = [part for part in parts if 400 < len(part) < 1200]
        paragraphs += generator.sample(long, min(len(long), 2 if arguments.quick else 8))

    def typos(text: str, count: int) -> str:
        letters = list(text)
        for place in generator.sample(range(len(letters)), count):
            letters[place] = generator.choice("abcdefghijklmnopqrstuvwxyz")
        return "".join(letters)

    def moved(text: str) -> str:
        middle = text.rindex(" ", 0, len(text) // 2) + 1
        return text[middle:] + " " + text[:middle].rstrip()

    def shuffled(text: str) -> str:
        sentences = re.split(r"(?<=[.!?;,]) ", text)
        generator.shuffle(sentences)
        return " ".join(sentences)

    def made(text: str, other: str) -> dict[str, str]:
        half = text.rindex(" ", 0, len(text) // 2)
        words = text.split(" ")
        words[::10] = [generator.choice(other.split(" ")) for _ in words[::10]]
        return {
            "the same": text,
            "3 typos": typos(text, 3),
            "30 typos": typos(text, 30),
            "halves swapped": moved(text),
            "clauses shuffled": shuffled(text),
            "every tenth word another": " ".join(words),
            "second half rewritten": text[:half] + " " + other[: len(text) - half - 1],
            "another paragraph": other,
        }

    found: dict[str, list[list[float]]] = {}
    model = ModelLengths(Settings(threads=arguments.threads))
    mixer = ModelLengths(Settings(level=1))
    for text, other in zip(paragraphs, paragraphs[1:] + paragraphs[:1], strict=True):
        versions = made(text, other)
        data = [version.encode() for version in versions.values()]
        by_mixer, by_model = (efforts(coder, text.encode(), data) for coder in (mixer, model))
        for name, one, two in zip(versions, by_mixer.efforts, by_model.efforts, strict=True):
            found.setdefault(name, []).append([one.phrases, one.levenshtein, one.bits, one.alone, two.bits, two.alone])
    print("| edit | phrases | Levenshtein | mixer, K(T\\|S) of K(T) | model, K(T\\|S) of K(T) |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, values in found.items():
        phrases, letters, bits, alone, model_bits, model_alone = (
            median(column) for column in zip(*values, strict=True)
        )
        print(
            f"| {name} | {phrases:.0f} | {letters:.0f} | {bits:.0f} of {alone:.0f} | {model_bits:.0f} of {model_alone:.0f} |"
        )
    print(f"\nMedians of {len(paragraphs)} paragraphs of {sum(map(len, paragraphs)):,} characters.")


def windows(arguments: argparse.Namespace) -> None:
    """The paper's table of bits and compression ratios."""
    from llmzip.measures.equal_info import EqualInfo, ratio

    path, *models = arguments.files
    text = Path(path).read_bytes()[10_000 : 11_000 if arguments.quick else 16_000]
    sizes = (8, 16, 24, 32)
    print("| model | " + " | ".join(f"b = {bits}" for bits in sizes) + " |")
    print("| --- |" + " ---: |" * len(sizes))
    for model in (None, *models):
        cells = []
        for bits in sizes:
            with EqualInfo(bits, Settings(model, threads=arguments.threads)) as coder:
                cells.append(f"{ratio(bits, coder.encode(text), text).bit_ratio:.2f}")
        print(f"| {Path(model).name if model else 'embedded'} | " + " | ".join(cells) + " |", flush=True)
    print(f"\n{len(text):,} bytes of {Path(path).name}; every text was restored exactly.")


def dates(arguments: argparse.Namespace) -> None:
    """Documents with a date in their name, or as "created" in their head (proposals)."""
    import json
    import lzma
    import re

    from llmzip.measures.by_date import date_in

    *corpora, part = arguments.files
    created = re.compile(r"^created: *(.+)$", re.IGNORECASE | re.MULTILINE)
    for corpus in corpora:
        with lzma.open(corpus, "rt") as lines:
            for line in lines:
                record = json.loads(line)
                if part not in record["id"]:
                    continue
                head = created.search(record["text"][:2000])
                day = written(head[1]) if head else date_in(record["id"].rpartition("/")[2])
                if day:
                    print(json.dumps({"name": record["id"], "date": day, "text": record["text"]}))


def written(day: str) -> str | None:
    """A date as proposals write it, "2021-07-01" or "01-Jul-2021", as ISO; None where it is none."""
    from datetime import datetime

    for form in ("%Y-%m-%d", "%d-%b-%Y", "%d-%B-%Y"):
        try:
            return datetime.strptime(day.strip(), form).date().isoformat()
        except ValueError:
            continue
    return None


def printed(rows: list[tuple[str, dict[int, str]]]) -> None:
    """A row for each method, a column for each number of labelled texts."""
    shots = sorted({each for _, found in rows for each in found})
    print("| method | " + " | ".join(f"{each} a class" for each in shots) + " |")
    print("| --- | " + " | ".join("---:" for _ in shots) + " |")
    for name, found in rows:
        print(f"| {name} | " + " | ".join(found.get(each, "") for each in shots) + " |")


def main() -> None:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=list(COMMANDS))
    parser.add_argument("files", nargs="*")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--cache")
    parser.add_argument("--minutes", type=float, default=9, help="of matrix: stop after so many")
    parser.add_argument("--only", help="of news: classic,mixer,model,mixer-neighbours,model-neighbours,classic-48")
    arguments = parser.parse_args()
    COMMANDS[arguments.command](arguments)


COMMANDS = {
    "speed": speed,
    "matrix": matrix,
    "dates": dates,
    "news": news,
    "genes": genes,
    "edits": edits,
    "windows": windows,
}

if __name__ == "__main__":
    main()
