"""Agreement between readers beyond what chance gives. numpy only."""

from collections.abc import Sequence

import numpy as np


def cohen_kappa(first: Sequence[object], second: Sequence[object]) -> float | None:
    """Return Cohen's kappa (1960) of two readers' answers to the same cases.

    (p - e) / (1 - e), p the share of equal answers, e what it would be if each answered at random with its
    own shares. None without cases, and where e is 1: nothing but one answer says nothing of agreement.
    """
    if len(first) != len(second):
        raise ValueError(f"kappa expects answers to the same cases; got {len(first)} and {len(second)}")
    count = len(first)
    if not count:
        return None
    equal = sum(ours == theirs for ours, theirs in zip(first, second, strict=True)) / count
    words = set(first) | set(second)
    chance = sum((list(first).count(word) / count) * (list(second).count(word) / count) for word in words)
    return None if np.isclose(chance, 1.0) else float((equal - chance) / (1 - chance))


def fleiss_kappa(counts: Sequence[Sequence[int]]) -> float | None:
    """Return Fleiss' kappa (1971) of R readers: `counts` (N, C), how many gave each of C answers to a case.

    All cases have the same R of at least 2; otherwise `ValueError`. None without cases, and where all
    answers are the same.
    """
    table = np.asarray(counts, dtype=np.float64)
    if not table.size:
        return None
    readers = table.sum(1)
    if readers[0] < 2 or (readers != readers[0]).any():
        raise ValueError(f"kappa expects as many readers of every case, two or more; got {readers.tolist()}")
    pairs = readers[0] * (readers[0] - 1)
    equal = ((table * (table - 1)).sum(1) / pairs).mean()
    chance = ((table.sum(0) / table.sum()) ** 2).sum()
    return None if np.isclose(chance, 1.0) else float((equal - chance) / (1 - chance))
