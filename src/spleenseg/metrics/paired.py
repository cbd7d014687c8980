"""Two methods compared on the same patients: differences, their interval, a test, and what may be said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from spleenseg.metrics.confidence import Interval, Numbers, by_patient, mean_interval


class Verdict(StrEnum):
    """What a comparison allows to say of the first method."""

    BETTER = "better"
    NON_INFERIOR = "non-inferior"
    WORSE = "worse"
    CANT_TELL = "can't tell"


@dataclass(frozen=True)
class Comparison:
    """Two methods on the same patients; a difference is the first minus the second.

    Attributes:
        patients: how many patients have a value from both.
        difference: the mean difference with its confidence interval; None for fewer than two patients.
        p_value: Wilcoxon's signed-rank test, two-sided; None if no patient differs.
        higher: patients with a higher value from the first.
        lower: patients with a lower one.
        equal: patients with the same.
    """

    patients: int
    difference: Interval | None
    p_value: float | None
    higher: int
    lower: int
    equal: int


def compare_paired(
    first: Sequence[float | None],
    second: Sequence[float | None],
    patients: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 137,
) -> Comparison:
    """Compare two methods case by case.

    The test and the counts take one difference a patient (the mean over its cases), because cases of one
    patient are not independent. Zero differences are ranked and then left out (Pratt 1959).

    Args:
        first: one value a case; a case undefined (None) in either is left out.
        second: the other method's value for the same case.
        patients: as in `mean_interval`, and so the rest.

    Raises:
        ValueError: the lengths differ.
    """
    owners = [str(place) for place in range(len(first))] if patients is None else patients
    pairs = [
        (one - other, owner)
        for one, other, owner in zip(first, second, owners, strict=True)
        if one is not None and other is not None
    ]
    differences, kept = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    sums, counts = by_patient(differences, kept)
    own = sums / counts
    return Comparison(
        patients=len(own),
        difference=mean_interval(differences, kept, level=level, resamples=resamples, seed=seed),
        p_value=_wilcoxon(own),
        higher=int((own > 0).sum()),
        lower=int((own < 0).sum()),
        equal=int((own == 0).sum()),
    )


def verdict(difference: Interval | None, margin: float, *, higher_is_better: bool = True) -> Verdict:
    """Say in a word what the interval of a difference (first minus second) allows to say.

    Args:
        difference: with its interval; None: nothing is known.
        margin: how much worse still counts as no worse, in the unit of the figure.
        higher_is_better: whether more of it is better.

    Returns:
        Better: the whole interval is on the better side of 0. Worse: all of it is on the other. Non-inferior: no
        part of it is worse by the margin or more. Else nobody can tell.

    Raises:
        ValueError: the margin is negative.
    """
    if margin < 0:
        raise ValueError(f"a margin is 0 or more, not {margin}")
    if difference is None:
        return Verdict.CANT_TELL
    low, high = (difference.low, difference.high) if higher_is_better else (-difference.high, -difference.low)
    if low > 0:
        return Verdict.BETTER
    if low > -margin:
        return Verdict.NON_INFERIOR
    return Verdict.WORSE if high < 0 else Verdict.CANT_TELL


def _wilcoxon(differences: Numbers) -> float | None:
    if not differences.any():
        return None
    from scipy.stats import wilcoxon

    return float(wilcoxon(differences, zero_method="pratt").pvalue)
