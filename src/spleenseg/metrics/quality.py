"""How good a segmentation probably is, without truth: the Dice predicted from how well several answers agree.

The answers are those of an ensemble's members, of augmented copies of the scan, or of one network at several
thresholds. Where they agree the Dice is usually high (Roy et al. 2019; Mehrtash et al. 2020). How high is learnt
from cases with truth, on data that trained no network (valid), and checked on others (test).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from spleenseg.metrics.calibration import BINS
from spleenseg.metrics.overlap import confusion, dice

THRESHOLDS = (0.3, 0.5, 0.7)
"""Thresholds whose masks are compared where one network's probabilities are all there is."""


def agreement_of_masks(masks: Sequence[NDArray[np.generic]]) -> float:
    """Return the mean Dice over all pairs of masks of one label; two empty masks agree.

    Args:
        masks: at least two of one shape; what is not 0 is inside.

    Raises:
        ValueError: there are fewer than two, or the shapes differ.
    """
    if len(masks) < 2:
        raise ValueError("agreement is between at least two masks")
    return float(np.mean([dice(confusion(one, other)) for one, other in combinations(masks, 2)]))


def agreement_of_probabilities(probability: NDArray[np.floating], thresholds: Sequence[float] = THRESHOLDS) -> float:
    """Return how well the masks of one probability map at several thresholds agree; see `agreement_of_masks`."""
    return agreement_of_masks([probability >= np.float32(threshold) for threshold in thresholds])


def agreement_of_histogram(counts: NDArray[np.float64], thresholds: Sequence[float] = THRESHOLDS) -> float:
    """Return `agreement_of_probabilities` from a `calibration.histogram` of them."""
    return agreement_of_sizes([int(counts[0, :, round(threshold * BINS) :].sum()) for threshold in thresholds])


def agreement_of_sizes(sizes: Sequence[int]) -> float:
    """Return `agreement_of_probabilities` from the voxels of each threshold's mask (which lie in one another)."""
    pairs = [sorted(pair) for pair in combinations(sizes, 2)]
    return float(np.mean([2 * less / (less + more) if more else 1.0 for less, more in pairs]))


@dataclass(frozen=True)
class QualityCalibration:
    """Predicted Dice = intercept + slope * agreement, kept within 0 and 1.

    Attributes:
        slope, intercept: of the line, by least squares.
        cases: on how many it was fitted.
        mean_error: mean absolute difference to the true Dice on those, in-sample.
    """

    slope: float
    intercept: float
    cases: int
    mean_error: float

    @classmethod
    def fit(cls, agreements: Sequence[float], dices: Sequence[float]) -> QualityCalibration:
        """Fit the line; where agreement does not vary, or would count against a case, it is the mean Dice.

        Args:
            agreements: one a case.
            dices: its true Dice.

        Raises:
            ValueError: the lengths differ, or there is no case.
        """
        given, wanted = np.asarray(agreements, float), np.asarray(dices, float)
        if given.shape != wanted.shape or not len(given):
            raise ValueError("a predicted Dice is fitted on agreements and as many true Dice values")
        spread = given - given.mean()
        below = float(spread @ spread)
        slope = max(0.0, float(spread @ wanted) / below) if below > 1e-12 else 0.0
        line = cls(slope, float(wanted.mean() - slope * given.mean()), len(given), 0.0)
        errors = [abs(line.predict(one) - other) for one, other in zip(agreements, dices, strict=True)]
        return cls(line.slope, line.intercept, line.cases, float(np.mean(errors)))

    def predict(self, agreement: float) -> float:
        """Return the predicted Dice of a case."""
        return float(np.clip(self.intercept + self.slope * agreement, 0, 1))


@dataclass(frozen=True)
class QualityCheck:
    """How well the predicted Dice held on other cases.

    Attributes:
        cases: how many.
        mean_error: mean absolute difference to the true Dice.
        rank_correlation: Spearman's; None for fewer than three cases or where nothing varies.
    """

    cases: int
    mean_error: float
    rank_correlation: float | None


def check_quality(predicted: Sequence[float], dices: Sequence[float]) -> QualityCheck:
    """Compare predicted with true Dice of at least one case.

    Raises:
        ValueError: the lengths differ, or there is no case.
    """
    given, true = np.asarray(predicted, float), np.asarray(dices, float)
    if given.shape != true.shape or not len(given):
        raise ValueError("a predicted Dice is checked against as many true ones, at least one")
    varies = len(given) > 2 and np.ptp(given) > 0 and np.ptp(true) > 0
    return QualityCheck(len(given), float(np.abs(given - true).mean()), _spearman(given, true) if varies else None)


def _spearman(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(one, other).statistic)
