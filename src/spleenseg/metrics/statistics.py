"""What a column of figures says in a few numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, median, stdev


@dataclass(frozen=True)
class Summary:
    """A column in a few numbers; None is undefined.

    Attributes:
        n: how many values were defined.
        mean: their mean.
        median: their median.
        sd: their sample standard deviation (n - 1); undefined for fewer than two.
        worst: the worst of them.
    """

    n: int
    mean: float | None = None
    median: float | None = None
    sd: float | None = None
    worst: float | None = None


def summarize(values: Iterable[float | None], *, higher_is_better: bool = True) -> Summary:
    """Summarise a column, leaving out what is undefined (None or NaN).

    Args:
        values: the column.
        higher_is_better: whether the worst value is the lowest (Dice) or the highest (a distance).
    """
    defined = [float(value) for value in values if value is not None and not math.isnan(value)]
    if not defined:
        return Summary(n=0)
    return Summary(
        n=len(defined),
        mean=fmean(defined),
        median=median(defined),
        sd=stdev(defined) if len(defined) > 1 else None,
        worst=min(defined) if higher_is_better else max(defined),
    )
