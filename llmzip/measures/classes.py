"""Classes of texts from code lengths: by the nearest labelled texts, and by the class whose texts help most to code the new one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmzip.measures.distances import distance_matrix
from llmzip.measures.editing import need
from llmzip.measures.lengths import CodeLengths, Progress, unwatched

Predicted = tuple[NDArray[np.str_], NDArray[np.float64]]
"""Labels of the new texts, (n,), and how sure they are: how far the best class is ahead of the next one, (n,), 0 at a tie."""


def check_labels(labels: Sequence[str | None], texts: int) -> NDArray[np.str_]:
    """The labels as an array. Raises ValueError where one is missing or all are equal."""
    if len(labels) != texts:
        raise ValueError(f"there are {len(labels)} labels for {texts} texts")
    if any(not label for label in labels):
        raise ValueError("every labelled text needs a label")
    if len(set(labels)) < 2:
        raise ValueError(f"there is one class only, {labels[0]!r}: classification takes two at least")
    return np.array(labels, np.str_)


def vote(values: NDArray[np.float64], labels: NDArray[np.str_], neighbours: int) -> Predicted:
    """The label that most of the nearest texts have, of distances (n, m) to m labelled texts.

    By scikit-learn, with metric="precomputed". Ties are broken by the nearer neighbours: the label whose nearest text is the
    nearest of all tied ones. (With two neighbours that is the label of the nearest one; Jiang et al.'s code counted a tie
    as right where either was, which overstates accuracy.)
    """
    need("sklearn")
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=min(neighbours, len(labels)), metric="precomputed")
    found.fit(np.zeros((len(labels), len(labels))))
    _, nearest = found.kneighbors(np.maximum(values, 0.0))
    predicted, sure = [], []
    for row in labels[nearest]:
        counts: dict[str, int] = {}
        for label in row.tolist():
            counts[label] = counts.get(label, 0) + 1
        ordered = sorted(counts.values(), reverse=True)
        # dict keeps the order of the neighbours, nearest first, and max takes the first of equals.
        predicted.append(max(counts, key=lambda label: counts[label]))
        sure.append((ordered[0] - (ordered[1] if len(ordered) > 1 else 0)) / len(row))
    return np.array(predicted, np.str_), np.array(sure)


def by_neighbours(
    coder: CodeLengths,
    labelled: Sequence[bytes],
    labels: Sequence[str | None],
    texts: Sequence[bytes],
    *,
    measure: str = "ncd",
    neighbours: int = 3,
    progress: Progress = unwatched,
) -> Predicted:
    """Labels by the nearest labelled texts. Raises ValueError for empty texts, one class only, missing labels."""
    known = check_labels(labels, len(labelled))
    return vote(distance_matrix(coder, texts, labelled, measure, progress).values, known, neighbours)


def class_contexts(
    labelled: Sequence[bytes], labels: NDArray[np.str_], separator: bytes = b"\n\n"
) -> tuple[NDArray[np.str_], list[bytes]]:
    """The classes in order of their names, and all texts of each as one context, in their order."""
    classes = np.unique(labels)
    members = [
        [text for text, label in zip(labelled, labels.tolist(), strict=True) if label == name] for name in classes
    ]
    return classes, [separator.join(texts) for texts in members]


def by_class(
    coder: CodeLengths,
    labelled: Sequence[bytes],
    labels: Sequence[str | None],
    texts: Sequence[bytes],
    *,
    progress: Progress = unwatched,
) -> Predicted:
    """Labels by code length: the class whose texts, as context and as primed mixer, code the new text in the fewest bits.

    How sure: bits by which the next class is worse, as a share of the text's bits. Ties go to the first class by name.
    Raises ValueError for empty texts, one class only, missing labels.
    """
    if not all(texts) or not all(labelled):
        raise ValueError("an empty text belongs to no class")
    classes, contexts = class_contexts(labelled, check_labels(labels, len(labelled)))
    bits = np.empty((len(classes), len(texts)))
    for number, found in coder.given(contexts, texts, np.ones(bits.shape, np.bool_), progress):
        bits[number] = found
    ordered = np.sort(bits, axis=0)
    sure = (ordered[1] - ordered[0]) / np.maximum(ordered[0], 1.0)
    return classes[bits.argmin(axis=0)], sure


@dataclass(frozen=True)
class Accuracy:
    """Of so many texts so many were right."""

    right: int
    texts: int

    @property
    def share(self) -> float:
        """Right ones among all."""
        return self.right / self.texts

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Wilson's interval of the share (Wilson 1927), for texts that are drawn independently."""
        z = NormalDist().inv_cdf(0.5 + confidence / 2)
        n, p = self.texts, self.share
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)


def folds(labels: NDArray[np.str_], count: int, seed: int) -> list[NDArray[np.intp]]:
    """Numbers of the texts of each fold: about equally many of each class, shuffled (by scikit-learn). Raises ValueError where a class
    has fewer texts than there are folds."""
    need("sklearn")
    from sklearn.model_selection import StratifiedKFold

    names, counts = np.unique(labels, return_counts=True)
    if counts.min() < count:
        raise ValueError(
            f"the class {str(names[counts.argmin()])!r} has {counts.min()} texts, fewer than the {count} folds: use fewer folds"
        )
    split = StratifiedKFold(n_splits=count, shuffle=True, random_state=seed)
    return [test.astype(np.intp) for _, test in split.split(np.zeros(len(labels)), labels)]


def cross_validate(
    labels: Sequence[str | None],
    predict: Callable[[NDArray[np.intp], NDArray[np.intp]], NDArray[np.str_]],
    *,
    count: int = 5,
    seed: int = 0,
) -> tuple[Accuracy, NDArray[np.str_]]:
    """Every text classified once, by the texts of the other folds: the accuracy, and the labels given, (n,).

    predict(train, test): labels of the texts numbered `test`, from those numbered `train`.
    """
    known = check_labels(labels, len(labels))
    given = np.empty_like(known)
    everyone = np.arange(len(known))
    for test in folds(known, count, seed):
        given[test] = predict(np.setdiff1d(everyone, test), test)
    return Accuracy(int((given == known).sum()), len(known)), given


def few_shot(labels: Sequence[str], each: int, seed: int) -> NDArray[np.intp]:
    """Numbers of `each` texts of every class, drawn by the seed, in order; fewer of the same seed are a part of more. Raises ValueError
    where a class has fewer."""
    generator = np.random.default_rng(seed)
    known = np.array(labels, np.str_)
    chosen: list[Any] = []
    for name in np.unique(known):
        members = generator.permutation(np.flatnonzero(known == name))
        if len(members) < each:
            raise ValueError(f"the class {str(name)!r} has {len(members)} texts, fewer than {each}")
        chosen.extend(members[:each].tolist())
    return np.array(sorted(chosen), np.intp)
