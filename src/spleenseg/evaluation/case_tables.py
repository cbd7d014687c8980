"""Tables with a line a case: our cases.csv, and those that others published."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from spleenseg.errors import UserError
from spleenseg.evaluation.collect import COLUMNS

Cell = float | None
_CASE = ("case", "case_id", "caseid", "id", "name", "subject", "image", "scan", "file", "filename")
_PATIENT = ("patient", "patient_id", "patientid")
_LABEL = ("label", "organ", "structure", "class")
_OTHER_NAMES = {
    "dsc": "dice",
    "dice_score": "dice",
    "dice_coefficient": "dice",
    "jaccard": "iou",
    "recall": "sensitivity",
    "nsd": "nsd_2mm",
    "hd": "hd_mm",
    "hd95": "hd95_mm",
    "assd": "assd_mm",
    "asd": "assd_mm",
}
_ENDS = (".nii.gz", ".nii")


@dataclass(frozen=True)
class Cells:
    """One line: whose it is (the case where nobody says), and its numbers by our names; an undefined one is None."""

    patient: str
    values: Mapping[str, Cell]


@dataclass(frozen=True)
class CaseTable:
    """A table.

    Attributes:
        path: the file.
        name: what it is called in a comparison.
        folder: the folder it lies in, where names alone do not tell two apart.
        rows: (case, label) -> line; the label of a table without labels is empty.
    """

    path: Path
    name: str
    folder: str
    rows: Mapping[tuple[str, str], Cells]


def read_case_table(path: Path) -> CaseTable:
    """Read the case table of an evaluation's folder, or a CSV with a line a case.

    A published CSV needs a column of cases (`case`, `case_id`, `name`, ...) and at least one figure (`dice` or
    `DSC`, `hd95`, ...); upper and lower case do not matter. Dice in percent is brought to 0..1.

    Raises:
        UserError: the file is missing or unreadable, or has no such columns, or a case twice.
    """
    file = path / "cases.csv" if path.is_dir() else path
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            lines = list(csv.DictReader(stream))
    except (OSError, ValueError, csv.Error) as error:
        hint = "; run `spleenseg evaluate` first" if path.is_dir() else ""
        raise UserError(f"{file}: cannot be read as a table of cases{hint}") from error
    if not lines:
        raise UserError(f"{file} holds no case")
    name = path.resolve().name if path.is_dir() else path.stem
    return CaseTable(file, name, path.resolve().parent.name, _rows(file, lines))


def with_same_labels(one: CaseTable, other: CaseTable) -> tuple[CaseTable, CaseTable]:
    """Give a table without labels the only label of the other.

    Raises:
        UserError: the other has several.
    """
    return _labelled(one, other), _labelled(other, one)


def _labelled(table: CaseTable, other: CaseTable) -> CaseTable:
    own, others = ({label for _, label in each.rows} for each in (table, other))
    if own != {""} or "" in others:
        return table
    if len(others) > 1:
        raise UserError(f"{table.path} names no labels, but {other.path} has {', '.join(sorted(others))}; add a column")
    (label,) = others
    return replace(table, rows={(case, label): cells for (case, _), cells in table.rows.items()})


def with_same_patients(one: CaseTable, other: CaseTable) -> tuple[CaseTable, CaseTable]:
    """Give each case that both tables have one patient, whichever table comes first.

    A table that knows no patients has one for each case. So it is believed which has fewer for the cases they share:
    counting one patient several times would make a difference look surer than it is.
    """
    shared = one.rows.keys() & other.rows.keys()
    few = min(one, other, key=lambda table: len({table.rows[key].patient for key in shared}))
    owners = {key: few.rows[key].patient for key in shared}
    return _owned(one, owners), _owned(other, owners)


def _owned(table: CaseTable, owners: Mapping[tuple[str, str], str]) -> CaseTable:
    rows = {key: replace(cells, patient=owners.get(key, cells.patient)) for key, cells in table.rows.items()}
    return replace(table, rows=rows)


def _rows(file: Path, lines: list[dict[str, str]]) -> dict[tuple[str, str], Cells]:
    columns = {_plain(name): name for name in lines[0] if name}
    case = _first(columns, _CASE)
    if case is None:
        raise UserError(f"{file} has no column of cases (such as 'case')")
    patient, label = _first(columns, _PATIENT), _first(columns, _LABEL)
    figures = {_OTHER_NAMES.get(plain, plain): name for plain, name in columns.items()}
    figures = {name: column for name, column in figures.items() if name in COLUMNS}
    if not figures:
        raise UserError(f"{file} has no figure that can be compared (such as 'dice')")
    rows: dict[tuple[str, str], Cells] = {}
    for number, line in enumerate(lines, start=2):
        key = (_case(line[case]), (line[label] or "").strip() if label else "")
        if key in rows:
            raise UserError(f"{file}, line {number}: {key[0]} occurs twice")
        values = {name: _number(line[column], file, number, column) for name, column in figures.items()}
        rows[key] = Cells(line[patient] if patient and line[patient] else key[0], values)
    return _as_shares(rows)


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _first(columns: Mapping[str, str], wanted: tuple[str, ...]) -> str | None:
    return next((columns[name] for name in wanted if name in columns), None)


def _case(text: str) -> str:
    name = (text or "").strip().removeprefix("'").replace("\\", "/").rpartition("/")[2]
    return next((name.removesuffix(end) for end in _ENDS if name.endswith(end)), name)


def _number(text: str | None, file: Path, line: int, column: str) -> Cell:
    try:
        value = float(text) if text and text.strip() else math.nan
    except ValueError as error:
        raise UserError(f"{file}, line {line}: {column} is no number ({text})") from error
    return value if math.isfinite(value) else None


def _as_shares(rows: dict[tuple[str, str], Cells]) -> dict[tuple[str, str], Cells]:
    """Bring columns of shares that are given in percent to 0..1."""
    for name in ("dice", "iou", "nsd_2mm", "sensitivity", "precision", "specificity"):
        known = [value for cells in rows.values() if (value := cells.values.get(name)) is not None]
        if known and max(known) > 1.5:
            for key, cells in rows.items():
                value = cells.values.get(name)
                shares = {**cells.values, name: None if value is None else value / 100}
                rows[key] = Cells(cells.patient, shares)
    return rows
