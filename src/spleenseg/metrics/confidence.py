"""How sure a mean over patients is: bootstrap intervals, and two methods compared on the same patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1_000_000  # drawn patients held in memory at a time

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a mean."""

    mean: float
    low: float
    high: float
    level: float


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


def mean_interval(
    values: Sequence[float],
    patients: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 137,
) -> Interval | None:
    """Return the mean of `values` and its confidence interval from the bootstrap.

    The interval is the bias-corrected and accelerated one (BCa; Efron 1987), its acceleration from the
    jackknife. Patients are drawn, not cases: all cases of a drawn patient come with it. The levels of the
    two ends are widened as Student's t is wider than the normal distribution, for a bootstrap of few
    patients is too narrow (Hesterberg 2015, "expanded percentile").

    Measured in 2,000 simulated studies each, with Dice from Beta(19, 1) and 5 % outliers from Beta(12, 8): the
    95 % interval held the true mean in 87 %, 91 % and 94 % of the studies of 20, 41 and 100 patients. A third of
    the studies of 20 patients hold no outlier at all, and no resampling can know of what was never seen.

    Args:
        values: one defined value a case.
        patients: whose case it is; default: every case is another patient's.
        level: the share of intervals that shall hold the true mean.
        resamples: how often to draw.
        seed: of the drawing; the same input gives the same interval.

    Returns:
        The interval, or None for fewer than two patients.

    Raises:
        ValueError: `patients` has another length than `values`, or a value is not finite.
    """
    sums, counts = _by_patient(values, patients)
    if len(sums) < 2:
        return None
    mean = float(sums.sum() / counts.sum())
    left_out = (sums.sum() - sums) / (counts.sum() - counts)
    if np.allclose(left_out, mean, rtol=1e-12, atol=0):
        return Interval(mean, mean, mean, level)
    drawn = np.sort(_bootstrap(sums, counts, resamples, np.random.default_rng(seed)))
    low, high = np.quantile(drawn, _bca_levels(drawn, mean, left_out, level))
    return Interval(mean, float(low), float(high), level)


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
    sums, counts = _by_patient(differences, kept)
    by_patient = sums / counts
    return Comparison(
        patients=len(by_patient),
        difference=mean_interval(differences, kept, level=level, resamples=resamples, seed=seed),
        p_value=_wilcoxon(by_patient),
        higher=int((by_patient > 0).sum()),
        lower=int((by_patient < 0).sum()),
        equal=int((by_patient == 0).sum()),
    )


def _by_patient(values: Sequence[float], patients: Sequence[str] | None) -> tuple[Numbers, Numbers]:
    """Return each patient's sum and number of values, in the order of their names."""
    numbers = np.asarray(values, float)
    if not np.isfinite(numbers).all():
        raise ValueError("only defined values can be averaged: leave out None, NaN and infinity")
    if patients is None:
        return numbers, np.ones(len(numbers))
    if len(patients) != len(numbers):
        raise ValueError(f"{len(numbers)} values but {len(patients)} patients")
    _, place = np.unique(np.asarray(patients, str), return_inverse=True)
    sums: Numbers = np.bincount(place, numbers).astype(np.float64)
    counts: Numbers = np.bincount(place).astype(np.float64)
    return sums, counts


def _bootstrap(sums: Numbers, counts: Numbers, resamples: int, rng: np.random.Generator) -> Numbers:
    """Return the means of `resamples` draws of as many patients as there are, with replacement."""
    number = len(sums)
    means = np.empty(resamples)
    step = max(1, _CHUNK // number)
    for start in range(0, resamples, step):
        drawn = rng.integers(0, number, (min(step, resamples - start), number))
        means[start : start + step] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return means


def _bca_levels(drawn: Numbers, mean: float, left_out: Numbers, level: float) -> Numbers:
    """Return at which shares of the drawn means the interval begins and ends."""
    from scipy.special import ndtr, ndtri, stdtrit

    below = (np.count_nonzero(drawn < mean) + np.count_nonzero(drawn <= mean)) / (2 * len(drawn))
    bias = ndtri(np.clip(below, 1 / len(drawn), 1 - 1 / len(drawn)))
    gaps = left_out.mean() - left_out
    gaps /= np.abs(gaps).max() or 1  # the acceleration has no scale, but powers of tiny numbers vanish
    acceleration = (gaps**3).sum() / (6 * max((gaps**2).sum(), 1) ** 1.5)
    number = len(left_out)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    wide = np.sqrt(number / (number - 1)) * stdtrit(number - 1, tails)
    shares: Numbers = ndtr(bias + (bias + wide) / (1 - acceleration * (bias + wide)))
    return shares


def _wilcoxon(differences: Numbers) -> float | None:
    if not differences.any():
        return None
    from scipy.stats import wilcoxon

    return float(wilcoxon(differences, zero_method="pratt").pvalue)
