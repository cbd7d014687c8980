"""Sections of the report on volumes, on probabilities and on training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from spleenseg.evaluation import words
from spleenseg.evaluation.findings import CalibrationFindings, CaseFindings, Findings, LabelFindings, ThresholdFindings
from spleenseg.metrics import SizeClass, is_spleen
from spleenseg.metrics.calibration import BINS
from spleenseg.metrics.spleen_size import CAVEATS, COHORT
from spleenseg.render import page as html
from spleenseg.render import plots


def volumetry_part(label: LabelFindings, rows: Sequence[CaseFindings], of: str) -> list[str]:
    """Return the section on volumes; nothing where none is known.

    Args:
        label: what was found of it.
        rows: its cases with truth.
        of: " of LABEL" where there are several.
    """
    found = label.volumetry
    if found is None or found.bias_ml is None:
        return []
    pairs = {row.case: (row.values.get("truth_ml"), row.values.get("pred_ml")) for row in rows}
    known = {case: (truth, pred) for case, (truth, pred) in pairs.items() if truth is not None and pred is not None}
    limits = None if found.low_ml is None or found.high_ml is None else (found.low_ml, found.high_ml)
    facts = {"bias": f"{plots.signed(found.bias_ml)} mL (prediction minus truth)"}
    if limits:
        facts["limits of agreement"] = f"{plots.signed(limits[0])} to {plots.signed(limits[1])} mL (bias ± 1.96 SD)"
    facts["ICC(2,1)"] = words.number("icc", found.icc)
    facts["within 5 %"] = _share(found.within_5_pct, found.n)
    facts["within 10 %"] = _share(found.within_10_pct, found.n)
    plot = html.chart(plots.bland_altman(known, found.bias_ml, limits), "Bland-Altman; a point is a case.")
    parts = [html.heading(f"Volumes{of}"), html.gallery([plot, html.facts(facts)], "pair")]
    return parts + (_sizes(rows) if is_spleen(label.label) else [])


def _share(value: float | None, count: int) -> str:
    return "–" if value is None else f"{round(value * count)} of {words.cases(count)} ({100 * value:.0f} %)"


def _sizes(rows: Sequence[CaseFindings]) -> list[str]:
    sized = [row for row in rows if row.truth_size]
    table = [
        {
            "size": size.value,
            "truth": sum(row.truth_size == size for row in sized),
            "prediction": sum(row.pred_size == size for row in sized),
            "same in both": sum(row.truth_size == row.pred_size == size for row in sized),
        }
        for size in SizeClass
    ]
    return [
        html.heading("Spleen size", 3),
        html.paragraph(f"Against a {COHORT}."),
        html.table(table, "Cases by size class"),
        html.bullets(CAVEATS),
    ]


def calibration_part(findings: Findings) -> list[str]:
    """Return the section on threshold, calibration and predicted Dice; nothing without probabilities."""
    charts = [_reliability(one) for one in findings.calibration if one.ece is not None]
    if findings.threshold and findings.threshold.curve:
        charts.append(_threshold_curve(findings.threshold))
    said = [*_threshold_words(findings.threshold), *_quality_words(findings)]
    if not charts and not said:
        return []
    return [html.heading("Probabilities"), html.bullets(said), html.gallery(charts)]


def _reliability(found: CalibrationFindings) -> str:
    seen = [
        (x, y, count)
        for x, y, count in zip(found.probability, found.observed, found.voxels, strict=True)
        if y is not None
    ]
    drawing = plots.reliability(
        [(x, y) for x, y, _ in seen], [count for *_, count in seen], f"Reliability curve of {found.label}"
    )
    caption = (
        f"{found.label}: expected calibration error {words.number('ece', found.ece)}, without sure background "
        f"(with it {words.number('ece', found.ece_everywhere, 5)}). On the diagonal, probabilities mean what they say."
    )
    return html.chart(drawing, caption)


def _threshold_curve(found: ThresholdFindings) -> str:
    points = [((place + 1) / BINS, value) for place, value in enumerate(found.curve)]
    drawing = plots.curves(
        {"mean Dice": points}, "threshold", "mean Dice on valid", "Mean Dice by threshold", mark=found.value
    )
    return html.chart(drawing, "Mean Dice of the validation cases by threshold; the dashed line is the one chosen.")


def _threshold_words(found: ThresholdFindings | None) -> list[str]:
    if found is None:
        return []
    if found.chosen != "valid":
        given = "given on the command line" if found.chosen == "option" else "the config's"
        return [f"Voxels count as organ from a probability of {found.value:g} on, {given}."]
    best, at_half = (words.number("dice", value) for value in (found.mean_dice, found.mean_dice_at_half))
    gain = f"mean Dice {best} there, {at_half} at 0.5"
    return [f"Threshold {found.value:.2f}, chosen on {words.cases(found.cases or 0)} of the validation split ({gain})."]


def _quality_words(findings: Findings) -> list[str]:
    said = []
    for one in findings.quality:
        errors = f"mean error {words.number('x', one.fitted_error)} on those {words.cases(one.fitted_cases)}"
        if one.checked_cases:
            errors += f", {words.number('x', one.checked_error)} on the {words.cases(one.checked_cases)} of this split"
        if one.rank_correlation is not None:
            errors += f", rank correlation {words.number('x', one.rank_correlation, 2)}"
        at = "" if one.threshold is None else f" at threshold {one.threshold:g}"
        said.append(
            f"Predicted Dice of {one.label}{at}: from how well the masks at thresholds 0.3, 0.5 and 0.7 agree, fitted "
            f"on the validation split ({errors})."
        )
    return said


def training_part(history: Mapping[str, Sequence[float | None]], findings: Findings) -> list[str]:
    """Return the training curves from history.json; nothing where there is none."""
    charts = []
    for names, unit in ((("loss", "val_loss"), "loss"), (("dice_coef", "val_dice_coef"), "Dice of slices")):
        series = {_shown(name): _points(history[name]) for name in names if history.get(name)}
        if any(series.values()):
            drawing = plots.curves(series, "epoch", unit, f"{unit} by epoch", low=0.0)
            charts.append(
                html.chart(drawing, f"{unit[0].upper()}{unit[1:]} on training and validation slices, by epoch.")
            )
    return [html.heading("Training"), html.gallery(charts)] if charts else []


def _shown(name: str) -> str:
    return "validation" if name.startswith("val_") else "training"


def _points(values: Sequence[float | None]) -> list[tuple[float, float]]:
    return [(float(epoch), math.nan if value is None else float(value)) for epoch, value in enumerate(values)]
