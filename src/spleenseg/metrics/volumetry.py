"""How well two ways of measuring volumes agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NORMAL_95 = 1.96


@dataclass(frozen=True)
class Agreement:
    """Agreement of predicted with true volumes over the cases that have both; None is undefined.

    Attributes:
        n: cases.
        bias_ml: mean of prediction minus truth.
        low_ml, high_ml: limits of agreement, bias -+ 1.96 standard deviations (Bland & Altman 1986).
        icc: intraclass correlation, two-way, absolute agreement, single measurement: ICC(2,1) of Shrout & Fleiss
            1979. 1 is perfect.
        within_5_pct, within_10_pct: share of cases whose error is at most 5 % or 10 % of the truth.
    """

    n: int
    bias_ml: float | None = None
    low_ml: float | None = None
    high_ml: float | None = None
    icc: float | None = None
    within_5_pct: float | None = None
    within_10_pct: float | None = None


def agreement(truth_ml: Sequence[float], pred_ml: Sequence[float]) -> Agreement:
    """Compare predicted with true volumes.

    Args:
        truth_ml: true volumes, above 0.
        pred_ml: the predicted volume of each.

    Returns:
        The agreement: without limits and ICC for fewer than two cases, and nothing for none.

    Raises:
        ValueError: the lengths differ, or a true volume is not above 0.
    """
    truth, pred = np.asarray(truth_ml, float), np.asarray(pred_ml, float)
    if truth.shape != pred.shape or not (truth > 0).all():
        raise ValueError("agreement needs a predicted volume for each true one, and true volumes above 0")
    if not len(truth):
        return Agreement(0)
    errors = pred - truth
    bias, shares = float(errors.mean()), np.abs(errors) / truth
    spread = _NORMAL_95 * float(errors.std(ddof=1)) if len(truth) > 1 else None
    return Agreement(
        n=len(truth),
        bias_ml=bias,
        low_ml=None if spread is None else bias - spread,
        high_ml=None if spread is None else bias + spread,
        icc=_icc(np.stack([truth, pred], axis=1)) if len(truth) > 1 else None,
        within_5_pct=float((shares <= 0.05 + 1e-12).mean()),
        within_10_pct=float((shares <= 0.10 + 1e-12).mean()),
    )


def _icc(table: NDArray[np.float64]) -> float | None:
    """Return ICC(2,1) of a table [cases, raters]; None if nothing varies."""
    cases, raters = table.shape
    mean = table.mean()
    of_cases = raters * ((table.mean(axis=1) - mean) ** 2).sum() / (cases - 1)
    of_raters = cases * ((table.mean(axis=0) - mean) ** 2).sum() / (raters - 1)
    rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + mean
    residual = (rest**2).sum() / ((cases - 1) * (raters - 1))
    whole = of_cases + (raters - 1) * residual + raters * (of_raters - residual) / cases
    return float((of_cases - residual) / whole) if whole > 0 else None
