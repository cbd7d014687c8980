"""The fingerprint of a dataset: HU inside each organ, spacings, shapes, organ volumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spleenseg.datasets.survey import VALUES, CaseFacts, Histogram

PERCENTILES = (0.5, 5.0, 50.0, 95.0, 99.5)


@dataclass(frozen=True)
class OrganFigures:
    """One label over all cases; None where nothing is known, or the label does not occur.

    Attributes:
        label: its name.
        cases: in how many cases it occurs.
        voxels: how many.
        hu_p00_5, hu_p05, hu_p50, hu_p95, hu_p99_5: percentiles of the HU of its voxels.
        hu_mean, hu_sd: mean and standard deviation of these.
        ml_min, ml_median, ml_max: its volume in the cases where it occurs.
    """

    label: str
    cases: int
    voxels: int
    hu_p00_5: float | None
    hu_p05: float | None
    hu_p50: float | None
    hu_p95: float | None
    hu_p99_5: float | None
    hu_mean: float | None
    hu_sd: float | None
    ml_min: float | None
    ml_median: float | None
    ml_max: float | None


@dataclass(frozen=True)
class GridFigures:
    """One figure of the grids of all cases: spacing (mm) or length (voxels) along an axis."""

    figure: str
    smallest: float
    median: float
    largest: float


@dataclass(frozen=True)
class CaseVolume:
    """The volume of a label in a case."""

    case: str
    label: str
    volume_ml: float | None


@dataclass(frozen=True)
class Fingerprint:
    """What a dataset is like.

    Attributes:
        cases: how many.
        hu: how the HU are known, in words.
        organs: one entry a label.
        grid: spacing_x_mm ... (where known) and size_x ....
        volumes: every case.
    """

    cases: int
    hu: str
    organs: tuple[OrganFigures, ...]
    grid: tuple[GridFigures, ...]
    volumes: tuple[CaseVolume, ...]

    def rows(self) -> list[dict[str, Any]]:
        """Return the figures of the organs as a table: one row a figure, one column a label."""
        columns = {organ.label: asdict(organ) for organ in self.organs}
        names = [field.name for field in fields(OrganFigures) if field.name != "label"]
        return [{"figure": name, **{label: known[name] for label, known in columns.items()}} for name in names]


def fingerprint_of(facts: Sequence[CaseFacts], window: tuple[float, float] | None = None) -> Fingerprint:
    """Return the fingerprint of surveyed cases.

    Args:
        facts: at least one case, all with the same labels.
        window: (low, high) in HU that pictures show as 0 and 255, to map grey values back; None: HU were read.
    """
    values: NDArray[Any] = VALUES.astype(np.float64)
    hu = "as stored"
    if window is not None:
        low, high = window
        values = low + np.arange(256) * ((high - low) / 255)
        hu = f"from grey values: cut to {low:g} to {high:g}, in steps of {(high - low) / 255:.3g}"
    labels = list(facts[0].labels)
    return Fingerprint(
        cases=len(facts),
        hu=hu,
        organs=tuple(_organ(label, facts, values) for label in labels),
        grid=_grid(facts),
        volumes=tuple(CaseVolume(case.case, label, _rounded(case.ml(label))) for case in facts for label in labels),
    )


def percentiles(counts: Histogram, values: NDArray[Any], wanted: Sequence[float]) -> list[float]:
    """Return percentiles of a histogram's values, exactly as of the values one by one (linear between two)."""
    below = np.cumsum(counts)
    ranks = np.asarray(wanted) / 100 * (below[-1] - 1)
    lower, upper = (values[np.searchsorted(below, side, side="right")] for side in (np.floor(ranks), np.ceil(ranks)))
    return [float(value) for value in lower + (upper - lower) * (ranks - np.floor(ranks))]


def _organ(label: str, facts: Sequence[CaseFacts], values: NDArray[Any]) -> OrganFigures:
    counts = np.sum([case.labels[label].histogram for case in facts], axis=0)
    present = [case for case in facts if case.labels[label].voxels]
    volumes = [volume for case in present if (volume := case.ml(label)) is not None]
    figures: list[float | None] = [None] * 7
    if present:
        mean = float(counts @ values / counts.sum())
        spread = float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))
        figures = [round(figure, 2) for figure in (*percentiles(counts, values, PERCENTILES), mean, spread)]
    ml = (min(volumes), median(volumes), max(volumes)) if volumes else (None, None, None)
    return OrganFigures(label, len(present), int(counts.sum()), *figures, *(_rounded(volume) for volume in ml))


def _grid(facts: Sequence[CaseFacts]) -> tuple[GridFigures, ...]:
    spacings = [case.spacing for case in facts if case.spacing is not None]
    columns = [(f"spacing_{axis}_mm", [spacing[place] for spacing in spacings]) for place, axis in enumerate("xyz")]
    sizes = [(f"size_{axis}", [float(case.shape[2 - place]) for case in facts]) for place, axis in enumerate("xyz")]
    return tuple(
        GridFigures(name, round(min(found), 4), round(median(found), 4), round(max(found), 4))
        for name, found in (*columns, *sizes)
        if found
    )


def _rounded(volume: float | None) -> float | None:
    return None if volume is None else round(volume, 3)
