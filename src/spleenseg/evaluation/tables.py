"""The CSV files of an evaluation; ours, and replaced as a whole each time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, fields
from pathlib import Path

from spleenseg.evaluation.cases import CaseRow, SliceRow
from spleenseg.files import write_csv, write_text
from spleenseg.metrics import CaseMetrics

CASE_COLUMNS = ("case", "patient", "label", *(field.name for field in fields(CaseMetrics)))
SLICE_COLUMNS = tuple(field.name for field in fields(SliceRow))
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


def _rounded(cell: object) -> object:
    return round(cell, _DECIMALS) if isinstance(cell, float) else cell
