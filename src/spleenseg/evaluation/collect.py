"""From rows of cases and slices to the figures of a report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from statistics import fmean

from spleenseg.evaluation.cases import CaseRow, SliceRow
from spleenseg.evaluation.findings import CaseFindings, Figure, LabelFindings, Pair, Volumetry
from spleenseg.metrics import (
    CaseMetrics,
    Interval,
    agreement,
    bca_interval,
    is_spleen,
    mean_interval,
    spleen_size,
    summarize,
)

COLUMNS = tuple(field.name for field in fields(CaseMetrics))
HIGHER_IS_BETTER = ("dice", "iou", "sensitivity", "precision", "nsd_2mm", "specificity")
DEFINED_WITHOUT_TRUTH = ("dice", "iou", "nsd_2mm", "specificity", "extra_components", "stray_ml")
_NEITHER = ("truth_ml", "pred_ml", "truth_components", "pred_components")

Valued = Sequence[tuple[float, str, str]]  # value, patient, case


def label_findings(label: str, cases: Sequence[CaseRow], slices: Sequence[SliceRow]) -> LabelFindings:
    """Sum up the rows of one label."""
    own = [row for row in cases if row.label == label]
    positive = [row for row in own if row.has_truth]
    seen = [row for row in slices if row.label == label]
    empty = [row for row in seen if not row.truth_pixels]
    return LabelFindings(
        label=label,
        cases=len(own),
        undefined=sum(row.metrics.dice is None for row in own),
        with_truth=len(positive),
        missed=sum(not row.metrics.pred_components for row in positive),
        invented=sum(bool(row.metrics.pred_components) for row in own if not row.has_truth),
        figures={name: column_figure(name, positive) for name in COLUMNS},
        every={name: column_figure(name, own) for name in DEFINED_WITHOUT_TRUTH},
        volumetry=_volumetry(positive),
        slice_dice=figure(
            "dice", [(row.dice, row.case, row.slice) for row in seen if row.truth_pixels], clustered=True
        ),
        empty_slices=len(empty),
        false_positive_pixels=sum(row.pred_pixels for row in empty),
    )


def column_figure(name: str, rows: Iterable[CaseRow]) -> Figure:
    """Sum up one column of the case table."""
    values = [(getattr(row.metrics, name), row.patient, row.case) for row in rows]
    return figure(name, [(float(value), patient, case) for value, patient, case in values if value is not None])


def figure(name: str, values: Valued, *, clustered: bool = False) -> Figure:
    """Sum up defined values; `clustered`: leave out the intervals, the values of a case hang together."""
    numbers, patients = [value for value, *_ in values], [patient for _, patient, _ in values]
    summary = summarize(numbers)
    if not values:
        return Figure(n=0)
    worst = None if name in _NEITHER else max(values, key=lambda value: badness(name, value[0]))
    return Figure(
        n=summary.n,
        mean=summary.mean,
        ci95=None if clustered else _ends(mean_interval(numbers, patients)),
        ci95_bca=None if clustered else _ends(bca_interval(numbers, patients)),
        median=summary.median,
        sd=summary.sd,
        worst=worst[0] if worst else None,
        worst_case=worst[2] if worst else None,
    )


def badness(name: str, value: float) -> float:
    """Return a number that is higher for worse values of a column: errors count by their size."""
    return -value if name in HIGHER_IS_BETTER else abs(value)


def mean_over_labels(labels: Sequence[LabelFindings]) -> dict[str, float | None]:
    """Return by column the mean of the labels' means; a column that no label has is None."""
    means = {name: [one.figures[name].mean for one in labels] for name in COLUMNS}
    return {name: _mean(found) for name, found in means.items()}


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None and math.isfinite(value)]
    return fmean(defined) if defined else None


def case_findings(row: CaseRow, predicted_dice: float | None = None) -> CaseFindings:
    """Return a line of the case table; the size class only for a label called spleen."""
    metrics = row.metrics
    spleen = is_spleen(row.label)
    return CaseFindings(
        case=row.case,
        patient=row.patient,
        label=row.label,
        has_truth=row.has_truth,
        values=asdict(metrics),
        predicted_dice=predicted_dice,
        truth_size=spleen_size(metrics.truth_ml) if spleen and metrics.truth_ml else None,
        pred_size=spleen_size(metrics.pred_ml) if spleen and metrics.pred_ml else None,
    )


def _volumetry(positive: Sequence[CaseRow]) -> Volumetry | None:
    pairs = [(row.metrics.truth_ml, row.metrics.pred_ml) for row in positive]
    known = [(truth, found) for truth, found in pairs if truth and found is not None]
    if not known:
        return None
    truth, found = zip(*known, strict=True)
    return Volumetry(**asdict(agreement(truth, found)))


def _ends(interval: Interval | None) -> Pair | None:
    return None if interval is None else (interval.low, interval.high)
