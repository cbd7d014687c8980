"""The CSV files of an evaluation; ours, and replaced as a whole each time."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import astuple, fields
from pathlib import Path

from spleenseg.errors import UserError
from spleenseg.evaluation.cases import CaseRow, SliceRow
from spleenseg.evaluation.findings import Findings
from spleenseg.files import write_csv, write_text
from spleenseg.metrics import CaseMetrics

CASE_COLUMNS = ("case", "patient", "label", *(field.name for field in fields(CaseMetrics)))
SLICE_COLUMNS = tuple(field.name for field in fields(SliceRow))
SUMMARY_COLUMNS = (
    "label",
    "figure",
    "n",
    "mean",
    "ci95_low",
    "ci95_high",
    "bca95_low",
    "bca95_high",
    "median",
    "sd",
    "worst",
    "worst_case",
)
_DECIMALS = 6


def write_figures(path: Path, figures: Mapping[str, float]) -> None:
    """Write evaluation.csv as the reference does: `loss,0.0259`, one line a figure."""
    write_text(path, "".join(f"{name},{value:.4f}\n" for name, value in figures.items()))


def write_cases(path: Path, rows: Iterable[CaseRow]) -> None:
    """Write cases.csv; an empty cell is an undefined figure."""
    cells = ([row.case, row.patient, row.label, *map(_rounded, astuple(row.metrics))] for row in rows)
    write_csv(path, CASE_COLUMNS, cells)


def write_slices(path: Path, rows: Iterable[SliceRow]) -> None:
    """Write slices.csv; an empty cell is an undefined figure."""
    write_csv(path, SLICE_COLUMNS, (list(map(_rounded, astuple(row))) for row in rows))


def write_summary(path: Path, findings: Findings) -> None:
    """Write summary.csv: each figure over the cases with truth, and with several labels the mean of their means."""
    lines: list[list[object]] = []
    for label in findings.labels:
        for name, figure in label.figures.items():
            low, high = figure.ci95 or (None, None)
            bca_low, bca_high = figure.ci95_bca or (None, None)
            cells = [figure.n, figure.mean, low, high, bca_low, bca_high, figure.median, figure.sd, figure.worst]
            lines.append([label.label, name, *map(_rounded, cells), figure.worst_case])
    if len(findings.labels) > 1:
        empty = [None] * (len(SUMMARY_COLUMNS) - 4)
        lines += [["mean over labels", name, None, _rounded(mean), *empty] for name, mean in findings.mean.items()]
    write_csv(path, SUMMARY_COLUMNS, lines)


def read_slices(path: Path) -> list[SliceRow]:
    """Read slices.csv back.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [_slice_row(row) for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is missing or damaged; run `spleenseg evaluate` again") from error


def _slice_row(row: Mapping[str, str]) -> SliceRow:
    counts = {name: int(row[name]) for name in ("truth_pixels", "pred_pixels", "false_positive_pixels")}
    return SliceRow(
        slice=row["slice"],
        case=row["case"],
        index=int(row["index"]) if row["index"] else None,
        label=row["label"],
        dice=float(row["dice"]),
        iou=float(row["iou"]),
        sensitivity=float(row["sensitivity"]) if row["sensitivity"] else None,
        precision=float(row["precision"]) if row["precision"] else None,
        **counts,
    )


def _rounded(cell: object) -> object:
    return round(cell, _DECIMALS) if isinstance(cell, float) else cell
