"""Agreement between readers beyond what chance gives. numpy only."""

from collections.abc import Sequence

import numpy as np


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
