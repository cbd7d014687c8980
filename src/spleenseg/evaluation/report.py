"""The report of one evaluation: a page that stands alone, drawn from report.json, slices.csv and history.json."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from spleenseg.errors import UserError
from spleenseg.evaluation import words
from spleenseg.evaluation.cases import SliceRow
from spleenseg.evaluation.findings import CaseFindings, Findings, LabelFindings
from spleenseg.evaluation.report_parts import calibration_part, training_part, volumetry_part
from spleenseg.evaluation.report_pictures import along, gallery_part
from spleenseg.evaluation.tables import read_slices
from spleenseg.files import write_text
from spleenseg.models.run_folder import RunFolder
from spleenseg.render import page as html
from spleenseg.render import plots

_RESEARCH = "Research use only; not a medical device."
_SUMMED = (
    "dice",
    "nsd_2mm",
    "hd95_mm",
    "assd_mm",
    "hd_mm",
    "iou",
    "sensitivity",
    "precision",
    "specificity",
    "volume_error_ml",
    "volume_error_pct",
    "missed_components",
    "extra_components",
    "stray_ml",
)
_CASE_COLUMNS = (
    "dice",
    "nsd_2mm",
    "hd95_mm",
    "assd_mm",
    "hd_mm",
    "truth_ml",
    "pred_ml",
    "volume_error_ml",
    "volume_error_pct",
    "sensitivity",
    "precision",
    "iou",
    "missed_components",
    "extra_components",
    "stray_ml",
)


def report(folder: Path | str) -> Path:
    """Draw the report of a finished evaluation again and return its path.

    Args:
        folder: a run folder, or the output folder of two compared folders.

    Raises:
        UserError: the folder holds no evaluation, or a damaged one.
    """
    run = RunFolder.at(folder)
    if not run.root.is_dir():
        raise UserError(f"{folder} is no folder; give the folder of a run, or two to compare")
    return write_report(run, Findings.read(run.report_json), read_slices(run.slices_csv))


def write_report(run: RunFolder, findings: Findings, slices: Sequence[SliceRow]) -> Path:
    """Write `report.html` beside its pictures and return its path."""
    write_text(run.report, html.page(f"Evaluation: {findings.title}", _body(run, findings, slices), sortable=True))
    return run.report


def _body(run: RunFolder, findings: Findings, slices: Sequence[SliceRow]) -> list[str]:
    several = len(findings.labels) > 1
    parts = [html.paragraph(f"Made by {findings.created_by}. {_RESEARCH}", "quiet")]
    if several:
        parts += _means(findings)
    for label in findings.labels:
        parts += _headline(label, several)
    parts += [
        html.heading("Case by case"),
        html.paragraph("Press a column's head to sort.", "quiet"),
        case_table(findings),
    ]
    for label in findings.labels:
        parts += _figures(label, findings, slices, several)
    parts += gallery_part(run, findings, slices)
    parts += calibration_part(findings)
    parts += training_part(_history(run), findings)
    parts += [html.heading("Where this comes from"), html.facts(findings.provenance), _config(findings)]
    parts += [
        html.heading("Limits and definitions"),
        html.bullets((*findings.remarks, *words.definitions(findings.empty))),
    ]
    return parts


def _headline(label: LabelFindings, several: bool) -> list[str]:
    dice, distance, surface, volume = (label.figures[n] for n in ("dice", "hd95_mm", "nsd_2mm", "volume_error_pct"))
    parts = [html.heading(label.label)] if several else []
    if not label.with_truth:
        every = label.every["dice"]
        over = f"the other {words.cases(every.n)}" if label.undefined else f"all {words.cases(label.cases)}"
        said = f"No case holds {label.label} in its truth. Dice over {over}: {words.number('dice', every.mean)}"
        return [*parts, html.paragraph(said, "lead"), *([html.paragraph(_counts(label))] if label.undefined else [])]
    cards = [
        ("mean Dice by case", words.number("dice", dice.mean), f"95 % CI {words.interval('dice', dice.ci95)}"),
        ("median Dice", words.number("dice", dice.median), f"over {words.cases(dice.n)} with {label.label}"),
        ("worst Dice", words.number("dice", dice.worst), dice.worst_case or ""),
    ]
    if surface.n and distance.n:
        cards += [
            (
                "NSD at 2 mm",
                words.number("nsd_2mm", surface.mean),
                f"95 % CI {words.interval('nsd_2mm', surface.ci95)}",
            ),
            (
                "HD95",
                f"{words.number('hd95_mm', distance.mean)} mm",
                f"median {words.number('hd95_mm', distance.median)} mm",
            ),
            (
                "volume error",
                f"{words.number('x_pct', volume.mean)} %",
                f"worst {words.number('x_pct', volume.worst)} %",
            ),
        ]
    return [
        *parts,
        html.cards(cards),
        html.paragraph(_counts(label)),
        html.details("All figures", summary_table(label), shown=True),
    ]


def _counts(label: LabelFindings) -> str:
    every = label.every["dice"]
    said = [f"{words.cases(label.cases)}, {label.with_truth} with {label.label}."]
    if label.undefined:
        said.append(
            f"{words.cases(label.undefined)} empty in truth and prediction: Dice undefined, left out of its mean."
        )
    if every.n > label.with_truth:
        others = " others" if label.undefined else ""
        said.append(f"Over all {every.n}{others} the mean Dice is {words.number('dice', every.mean)}.")
    if label.missed:
        said.append(f"In {words.cases(label.missed)} nothing of it was found; distances are undefined there.")
    if label.invented:
        said.append(f"In {words.cases(label.invented)} without it something was predicted.")
    if label.empty_slices:
        said.append(f"{label.false_positive_pixels} false pixels on {label.empty_slices} slices without it.")
    if label.slice_dice.n:
        mean = words.number("dice", label.slice_dice.mean)
        said.append(
            f"Mean Dice of single slices with it: {mean} ({label.slice_dice.n} slices; not comparable with cases)."
        )
    return " ".join(said)


def summary_table(label: LabelFindings) -> str:
    """Return the table of all figures of a label over the cases with it."""
    rows = []
    for name in _SUMMED:
        figure = label.figures[name]
        digits = 2 if name.endswith("components") else None
        written = {key: words.number(name, getattr(figure, key), digits) for key in ("mean", "median", "sd", "worst")}
        ends = words.interval(name, figure.ci95, digits)
        rows.append(
            {
                "figure": words.NAMES[name],
                "n": figure.n,
                "mean": html.Written(written["mean"]),
                "95 % CI": html.Written(ends),
                "median": html.Written(written["median"]),
                "SD": html.Written(written["sd"]),
                "worst": html.Written(written["worst"]),
                "worst case": figure.worst_case or "",
            }
        )
    return html.table(rows, f"All figures of {label.label}")


def _means(findings: Findings) -> list[str]:
    cards = [
        (
            f"mean {words.NAMES[name]}",
            words.number(name, findings.mean.get(name)),
            f"over {len(findings.labels)} labels",
        )
        for name in ("dice", "nsd_2mm", "hd95_mm")
        if findings.mean.get(name) is not None
    ]
    return [html.cards(cards)]


def case_table(findings: Findings) -> str:
    """Return the sortable table of all cases, worst Dice first; columns that no case has are left out."""
    several = len(findings.labels) > 1
    columns = [name for name in _CASE_COLUMNS if any(row.values.get(name) is not None for row in findings.cases)]
    expected = any(row.predicted_dice is not None for row in findings.cases)
    ordered = sorted(findings.cases, key=_dice_or_last)
    rows = [_case_row(row, columns, several, expected) for row in ordered]
    digits = {words.NAMES[name]: words.decimals(name) for name in columns}
    return html.sortable_table(rows, "Figures of each case", digits)


def _dice_or_last(row: CaseFindings) -> float:
    dice = row.values.get("dice")
    return math.inf if dice is None else dice


def _case_row(row: CaseFindings, columns: Sequence[str], several: bool, expected: bool) -> dict[str, object]:
    cells: dict[str, object] = {"case": row.case}
    if row.patient != row.case:
        cells["case"] = f"{row.case} ({row.patient})"
    if several:
        cells["label"] = row.label
    for name in columns:
        value = row.values.get(name)
        cells[words.NAMES[name]] = int(value) if value is not None and name.endswith("components") else value
        if name == "dice" and expected:
            cells["predicted Dice"] = row.predicted_dice
    return cells


def _figures(label: LabelFindings, findings: Findings, slices: Sequence[SliceRow], several: bool) -> list[str]:
    own = [row for row in findings.cases if row.label == label.label and row.has_truth]
    if not own:
        return []
    of = f" of {label.label}" if several else ""
    charts = [
        html.chart(
            _spread(own, ("dice", "nsd_2mm", "iou"), "share", of), "Overlap and surface Dice; a point is a case."
        )
    ]
    if any(row.values.get("assd_mm") is not None for row in own):
        charts.append(
            html.chart(_spread(own, ("hd95_mm", "assd_mm"), "mm", of), "Surface distances; a point is a case.")
        )
    if any(row.values.get("volume_error_pct") is not None for row in own):
        charts.append(html.chart(_spread(own, ("volume_error_pct",), "%", of), "Volume error; a point is a case."))
    lines = along(label.label, slices)
    if lines:
        caption = "Dice of each slice from the organ's foot to its head: each case, and the median of all in colour."
        charts.append(html.chart(plots.along_axis(lines, f"Slice Dice along the organ{of}"), caption))
    parts = [html.heading(f"Spread over cases{of}"), html.gallery(charts)]
    return parts + volumetry_part(label, own, of)


def _spread(rows: Sequence[CaseFindings], columns: Sequence[str], unit: str, of: str) -> str:
    groups = {}
    for name in columns:
        values = {row.case: row.values.get(name) for row in rows}
        known = {case: value for case, value in values.items() if value is not None}
        if known:
            groups[words.NAMES[name]] = known
    high = 1.0 if unit == "share" else None
    low = None if unit == "%" else 0.0
    return plots.spread(groups, unit, f"{', '.join(groups)}{of} by case", low=low, high=high)


def _history(run: RunFolder) -> Mapping[str, Sequence[float | None]]:
    try:
        data = json.loads(run.history.read_bytes())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _config(findings: Findings) -> str:
    if findings.config is None:
        return ""
    values = {
        f"[{section}] {key}": str(value) for section, keys in findings.config.items() for key, value in keys.items()
    }
    return html.details("Every value of the config", html.facts(values))
