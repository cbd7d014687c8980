"""What is fitted on the validation split and used on others: the threshold, and the Dice predicted without truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from spleenseg.errors import UserError
from spleenseg.evaluation.findings import CalibrationFindings, QualityFindings, ThresholdFindings
from spleenseg.evaluation.passes import Pass
from spleenseg.files import write_json
from spleenseg.inference.fitted import Fitted
from spleenseg.metrics import (
    QualityCalibration,
    Threshold,
    agreement_of_histogram,
    best_threshold,
    check_quality,
    reliability,
)
from spleenseg.metrics.calibration import BINS, Histogram, dice_by_threshold

AUTO = "auto"


class Calibration(Fitted):
    """calibration.json, as it is fitted and written; all of it belongs to masks cut at one threshold."""

    @classmethod
    def fit(cls, found: Pass, names: Mapping[str, int], weights_sha256: str | None, classes: int) -> Calibration:
        """Fit threshold and predicted Dice on the cases of a pass over the validation split."""
        threshold = best_threshold(list(found.histograms.values())) if classes == 1 else None
        empty = cls(weights_sha256=weights_sha256, threshold=threshold, quality={})
        quality = {}
        for name, value in names.items():
            own = [counts for (_, label), counts in sorted(found.histograms.items()) if label == value]
            dices = [empty.dice(counts) for counts in own]
            quality[name] = QualityCalibration.fit([agreement_of_histogram(counts) for counts in own], dices)
        return empty.model_copy(update={"quality": quality})

    def dice(self, counts: Histogram) -> float:
        """Return the Dice of a case at this threshold, from its histogram."""
        return float(dice_by_threshold(counts)[round(self.cut * BINS)])

    def write(self, path: Path) -> None:
        """Write calibration.json atomically."""
        write_json(path, self.model_dump(mode="json"))


def parse_threshold(text: str | None) -> float | str | None:
    """Return a threshold as it is written: a number 0..1, "auto", or None where nothing is.

    Raises:
        UserError: it is neither.
    """
    if text is None or text.strip().lower() == AUTO:
        return text and AUTO
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UserError(f"--threshold {text} is no probability; give a number from 0 to 1, or auto")
    return value


def threshold_findings(value: float, chosen: str, threshold: Threshold | None) -> ThresholdFindings:
    """Return what the report says of the threshold."""
    facts = asdict(threshold) if threshold and chosen == "valid" else {}
    return ThresholdFindings.model_validate({**facts, "value": value, "chosen": chosen})


def calibration_findings(found: Pass, names: Mapping[str, int]) -> tuple[CalibrationFindings, ...]:
    """Return the reliability of each label's probabilities over all cases of a pass."""
    parts = []
    for name, value in names.items():
        total = np.sum([counts for (_, label), counts in found.histograms.items() if label == value], axis=0)
        parts.append(CalibrationFindings(label=name, **asdict(reliability(total))))
    return tuple(parts)


def predicted_dice(found: Pass, names: Mapping[str, int], fitted: Calibration | None) -> dict[tuple[str, str], float]:
    """Return the predicted Dice by case and label, of those labels that a fit knows."""
    if fitted is None:
        return {}
    return {
        (case, name): fitted.quality[name].predict(agreement_of_histogram(counts))
        for name, value in names.items()
        for (case, label), counts in found.histograms.items()
        if label == value and name in fitted.quality
    }


def quality_findings(
    found: Pass,
    names: Mapping[str, int],
    predicted: Mapping[tuple[str, str], float],
    fitted: Calibration | None,
    in_sample: bool,
) -> tuple[QualityFindings, ...]:
    """Return how well the predicted Dice held; unchecked on the cases it was fitted on.

    It is compared with the Dice at the threshold it was fitted at, whichever the masks are reported at.
    """
    if fitted is None:
        return ()
    parts = []
    for name, line in fitted.quality.items():
        own = [
            (predicted[case, name], fitted.dice(counts))
            for (case, label), counts in sorted(found.histograms.items())
            if label == names.get(name)
        ]
        facts: dict[str, object] = {}
        if own and not in_sample:
            check = check_quality([expected for expected, _ in own], [dice for _, dice in own])
            facts = {
                "checked_cases": check.cases,
                "checked_error": check.mean_error,
                "rank_correlation": check.rank_correlation,
            }
        fit = {
            "threshold": fitted.cut,
            "slope": line.slope,
            "intercept": line.intercept,
            "fitted_cases": line.cases,
            "fitted_error": line.mean_error,
        }
        parts.append(QualityFindings.model_validate({"label": name, **fit, **facts}))
    return tuple(parts)
