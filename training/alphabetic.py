"""The tree of fewest turns for leaves that stay in their order: Garsia and Wachs, "A new algorithm for minimum cost binary
trees" (1977)."""

from __future__ import annotations

import math
from collections.abc import Sequence


def lengths(weights: Sequence[float]) -> list[int]:
    """Turns on the way to each leaf, in the best tree for leaves of these weights."""
    count = len(weights)
    children: list[tuple[int, int]] = []
    # The row of trees that are not yet joined, between two of infinite weight.
    row = [math.inf, *(float(weight) for weight in weights), math.inf]
    trees = [-1, *range(count), -1]
    at = 1
    while len(row) > 3:
        # The leftmost pair that is no heavier than the neighbours' pairs: its left neighbour weighs no more than its right one.
        while row[at - 1] > row[at + 1]:
            at += 1
        joined = row[at - 1] + row[at]
        children.append((trees[at - 1], trees[at]))
        del row[at - 1 : at + 1], trees[at - 1 : at + 1]
        place = at - 1
        while row[place - 1] < joined:
            place -= 1
        row.insert(place, joined)
        trees.insert(place, count + len(children) - 1)
        at = max(1, place - 1)
    found = [0] * count
    pending = [(trees[1], 0)]
    while pending:
        tree, depth = pending.pop()
        if tree < count:
            found[tree] = depth
        else:
            pending.extend((child, depth + 1) for child in children[tree - count])
    return found
