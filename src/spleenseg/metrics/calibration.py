"""Whether probabilities mean what they say, and which threshold suits them: all from one histogram.

A histogram counts the voxels of one case by their probability, apart for voxels inside and outside of the truth.
Every threshold on the grid of its bins has its Dice in it, and so do the reliability curve and the calibration
error; the probabilities themselves need not be kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 100
"""Bins of a histogram; bin b holds probabilities from b/100 to below (b+1)/100, the last one also 1."""
HALF = 0.5

Histogram = NDArray[np.float64]
Shares = NDArray[np.float64]


def levels(probability: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return the bin of each probability in [0, 1], uint8 of the same shape: whole hundredths, 1 among the last."""
    return np.clip((probability * np.float32(BINS)).astype(np.int64), 0, BINS - 1).astype(np.uint8)


def histogram(probability: NDArray[np.floating], truth: NDArray[np.bool_]) -> Histogram:
    """Count voxels by probability.

    Args:
        probability: values in [0, 1], any shape.
        truth: of the same shape.

    Returns:
        float64 [2, 2, BINS]: voxels and the sum of their probabilities; outside of the truth and inside of it.
    """
    places = (levels(probability) + BINS * truth.astype(np.int64)).ravel()
    voxels = np.bincount(places, minlength=2 * BINS)
    sums = np.bincount(places, probability.ravel(), 2 * BINS)
    return np.stack([voxels.astype(np.float64), sums]).reshape(2, 2, BINS)


def empty_histogram() -> Histogram:
    """Return the histogram of nothing, to add others to."""
    return np.zeros((2, 2, BINS))


def dice_by_threshold(counts: Histogram) -> Shares:
    """Return the Dice of a case at the thresholds 0, 1/100, ... 99/100: float64 [BINS]; both empty: 1."""
    outside, inside = counts[0]
    false_positive, true_positive = (np.cumsum(row[::-1])[::-1] for row in (outside, inside))
    sizes = true_positive + false_positive + inside.sum()
    return np.where(sizes > 0, 2 * true_positive / np.maximum(sizes, 1), 1.0)


@dataclass(frozen=True)
class Threshold:
    """A threshold chosen on cases.

    Attributes:
        value: probability from which a voxel is organ.
        mean_dice: mean Dice of the cases at it.
        mean_dice_at_half: the same at 0.5.
        cases: on how many it was chosen.
        curve: mean Dice at 0.01, 0.02, ... 0.99.
    """

    value: float
    mean_dice: float
    mean_dice_at_half: float
    cases: int
    curve: tuple[float, ...]


def best_threshold(cases: Sequence[Histogram]) -> Threshold:
    """Choose the threshold of the highest mean Dice over all cases; of equals the one nearest to 0.5.

    Args:
        cases: a histogram each.

    Raises:
        ValueError: there is no case.
    """
    if not cases:
        raise ValueError("a threshold is chosen on at least one case")
    mean = np.mean([dice_by_threshold(case) for case in cases], axis=0)[1:]
    values = np.arange(1, BINS) / BINS
    best = min(np.flatnonzero(mean >= mean.max() - 1e-12), key=lambda place: abs(values[place] - HALF))
    at_half = float(mean[round(HALF * BINS) - 1])
    return Threshold(float(values[best]), float(mean[best]), at_half, len(cases), tuple(mean.tolist()))


@dataclass(frozen=True)
class Reliability:
    """How often voxels of a probability are organ.

    Attributes:
        probability: mean of each bin; its middle where it is empty.
        observed: share of organ among the bin's voxels; None in an empty bin.
        voxels: how many voxels the bin holds.
        ece: expected calibration error (Naeini et al. 2015): the mean gap between the two, weighted by voxels.
        ece_everywhere: the same with the voxels that are surely background and are.
    """

    probability: tuple[float, ...]
    observed: tuple[float | None, ...]
    voxels: tuple[int, ...]
    ece: float | None
    ece_everywhere: float | None


def reliability(counts: Histogram, bins: int = 10) -> Reliability:
    """Return the reliability curve and its error.

    Voxels outside of the organ with a probability below 0.01 are left out but for `ece_everywhere`: nearly all of
    a scan is such background, and with it every network looks calibrated (Mehrtash et al. 2020).

    Args:
        counts: histogram of one case or the sum over several.
        bins: of the curve; a divisor of `BINS`.
    """
    doubtful = counts.copy()
    doubtful[:, 0, 0] = 0
    organ, voxels, sums = _curve(doubtful, bins)
    filled = voxels > 0
    middles = (np.arange(bins) + 0.5) / bins
    said = np.where(filled, sums / np.maximum(voxels, 1), middles)
    observed = tuple(float(part / whole) if whole else None for part, whole in zip(organ, voxels, strict=True))
    return Reliability(
        tuple(said.tolist()),
        observed,
        tuple(voxels.astype(int).tolist()),
        _error(*_curve(doubtful, bins)),
        _error(*_curve(counts, bins)),
    )


def _curve(counts: Histogram, bins: int) -> tuple[Shares, Shares, Shares]:
    """Return each bin's organ voxels, all its voxels, and the sum of their probabilities: float64 [bins]."""
    organ, voxels, sums = (
        rows.reshape(bins, -1).sum(axis=1) for rows in (counts[0, 1], counts[0].sum(axis=0), counts[1].sum(axis=0))
    )
    return organ, voxels, sums


def _error(organ: Shares, voxels: Shares, sums: Shares) -> float | None:
    return float(np.abs(organ - sums).sum() / voxels.sum()) if voxels.any() else None
