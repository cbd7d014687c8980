"""How columns are called and written for readers, and the sentences that a report always holds."""

from __future__ import annotations

NAMES = {
    "dice": "Dice",
    "iou": "IoU",
    "sensitivity": "sensitivity",
    "precision": "precision",
    "truth_ml": "truth (mL)",
    "pred_ml": "prediction (mL)",
    "volume_error_ml": "volume error (mL)",
    "volume_error_pct": "volume error (%)",
    "hd_mm": "HD (mm)",
    "hd95_mm": "HD95 (mm)",
    "assd_mm": "ASSD (mm)",
    "nsd_2mm": "NSD at 2 mm",
    "specificity": "specificity",
    "truth_components": "pieces, truth",
    "pred_components": "pieces, prediction",
    "missed_components": "pieces missed",
    "extra_components": "pieces extra",
    "stray_ml": "beside the organ (mL)",
}
_DECIMALS = {"_mm": 2, "_ml": 1, "_pct": 1, "_components": 0, "specificity": 5}

_EMPTY = {
    "defined": "Truth and prediction both empty: 1; one of them: 0.",
    "nan": "Truth and prediction both empty: undefined, as is NSD, and left out of the means; one of them: 0.",
}
_DEFINITIONS = (
    "Every figure is taken over a whole case at its own voxel size, never averaged over slices unless it says so. "
    "TP, FP, FN and TN count voxels.",
    "Dice = 2 TP / (2 TP + FP + FN); IoU = TP / (TP + FP + FN). {empty} "
    "The headline is the mean over cases whose truth holds the organ.",
    "Surface distances are weighted by surface area (Nikolov et al., arXiv 1809.04430). They are undefined where truth "
    "or prediction is empty; such cases are counted. NSD is the share of both surfaces within 2 mm of each other.",
    "Specificity is nearly 1 for any small organ, as binary accuracy is. Do not judge by it.",
    "Pieces are connected by faces, edges or corners. Missed: without a predicted voxel. Extra: without a true one. "
    "Beside the organ: predicted on axial slices without truth.",
    "Intervals are 95 % intervals of the mean by the studentized bootstrap: 10,000 draws of patients, seeded. In "
    "simulated studies with rare failures they held the true mean in 91 % (20 patients) to 96 % (100 patients).",
)


def definitions(empty: str) -> tuple[str, ...]:
    """Return the sentences that a report always holds, under a rule for empty cases (`cases.Empty`)."""
    return tuple(sentence.replace("{empty}", _EMPTY[empty]) for sentence in _DEFINITIONS)


def decimals(column: str) -> int:
    """Return how many digits after the point a column is written with."""
    return next((digits for end, digits in _DECIMALS.items() if column.endswith(end)), 3)


def number(column: str, value: float | None, digits: int | None = None) -> str:
    """Write a value of a column; an undefined one is a dash."""
    if value is None:
        return "–"
    text = f"{value:.{decimals(column) if digits is None else digits}f}"
    return text.replace("-", "−")


def interval(column: str, ends: tuple[float, float] | None, digits: int | None = None) -> str:
    """Write an interval; an unknown one is a dash."""
    return "–" if ends is None else f"{number(column, ends[0], digits)} to {number(column, ends[1], digits)}"


def cases(count: int, what: str = "case") -> str:
    """Write a number of cases."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
