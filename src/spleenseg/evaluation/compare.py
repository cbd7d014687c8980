"""Two evaluations of the same patients compared: differences by case, their interval, a test, and a word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from spleenseg.errors import UserError, did_you_mean
from spleenseg.evaluation import words
from spleenseg.evaluation.case_tables import (
    CaseTable,
    Cell,
    Cells,
    read_case_table,
    with_same_labels,
    with_same_patients,
)
from spleenseg.evaluation.collect import COLUMNS, HIGHER_IS_BETTER
from spleenseg.files import write_csv, write_json, write_text
from spleenseg.metrics import compare_paired, verdict

COMPARABLE = tuple(name for name in COLUMNS if not name.endswith("components") and name not in ("truth_ml", "pred_ml"))
MARGIN = 0.01
_SHARES = HIGHER_IS_BETTER
_ERRORS = ("volume_error_ml", "volume_error_pct")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Difference(_Record):
    """One column of one label compared; a difference is the first minus the second.

    Attributes:
        label, metric: what is compared; volume errors by their size.
        patients: how many have a value from both.
        first, second: mean over the cases that have both.
        mean, ci95: of the differences; None for fewer than two patients.
        p_value: Wilcoxon's signed-rank test, two-sided; None if no patient differs.
        higher, lower, equal: patients with a higher, lower, equal value from the first.
        verdict: of the first against the second.
        margin: what the verdict allows; 0 for columns other than the one asked for.
    """

    label: str
    metric: str
    patients: int
    first: float | None
    second: float | None
    mean: float | None
    ci95: tuple[float, float] | None
    p_value: float | None
    higher: int
    lower: int
    equal: int
    verdict: str
    margin: float


class PairedCase(_Record):
    """The values of one case in the column that decides."""

    case: str
    patient: str
    label: str
    first: float | None
    second: float | None
    difference: float | None


class ComparisonFindings(_Record):
    """The content of comparison.json.

    Attributes:
        first, second: what is compared.
        metric, margin: the column that decides, and how much worse is no worse.
        differences: of every column that both have; the one that decides first.
        cases: the values that decide, by case.
        only_first, only_second: cases that the other lacks: left out.
    """

    kind: Literal["spleenseg comparison"] = "spleenseg comparison"
    format: int = 1
    created_by: str
    first: str
    second: str
    metric: str
    margin: float
    differences: tuple[Difference, ...]
    cases: tuple[PairedCase, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    @property
    def deciding(self) -> tuple[Difference, ...]:
        """The differences of the column that decides, one a label."""
        return tuple(one for one in self.differences if one.metric == self.metric)

    def sentence(self, one: Difference) -> str:
        """Say what the comparison of one label found."""
        of = f" for {one.label}" if len(self.deciding) > 1 else ""
        if one.mean is None or one.ci95 is None:
            return f"{self.first} against {self.second}{of}: can't tell from {words.cases(one.patients, 'patient')}."
        figures = f"{words.number(one.metric, one.mean, 4)} (95 % CI {words.interval(one.metric, one.ci95, 4)})"
        test = "" if one.p_value is None else f", Wilcoxon p = {p_text(one.p_value)}"
        return (
            f"{self.first} is {SAID[one.verdict]} {self.second}{of}: {words.NAMES[one.metric]} differs by {figures} "
            f"over {words.cases(one.patients, 'patient')}{test}; margin {self.margin:g}."
        )


SAID = {
    "better": "better than",
    "non-inferior": "non-inferior to",
    "worse": "worse than",
    "can't tell": "(can't tell: neither better, nor shown to be non-inferior) against",
}
"""A verdict as part of a sentence."""


@dataclass(frozen=True)
class Compared:
    """The result of `compare`: where it lies, and what was found."""

    page: Path
    findings: ComparisonFindings

    def summary(self) -> str:
        """Say it in a few lines."""
        lines = [self.findings.sentence(one) for one in self.findings.deciding]
        return "\n".join([*lines, f"report: {self.page}"])


def compare(
    first: Path | str,
    second: Path | str,
    out: Path | str = "comparison",
    *,
    metric: str = "dice",
    margin: float | None = None,
) -> Compared:
    """Compare two evaluations on the cases that both have; write comparison.html, .json and .csv.

    Args:
        first, second: the folder of an evaluation, or a CSV with a line a case, such as a published one.
        out: folder of the result; an earlier comparison there is replaced.
        metric: the column that decides.
        margin: how much worse is no worse, in its unit; None: 0.01 for shares, else it must be given.

    Raises:
        UserError: a table is missing or damaged, no case is in both, a column is unknown, or `out` holds
            something else.
    """
    margin = _margin(metric, margin)
    one, other = with_same_labels(read_case_table(Path(first)), read_case_table(Path(second)))
    one, other = with_same_patients(one, other)
    findings = _findings(one, other, metric, margin)
    folder = Path(out)
    page = folder / "comparison.html"
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not page.is_file()):
        raise UserError(f"output folder {folder} holds something else; give a new one with -o")
    _write(folder, page, findings)
    return Compared(page, findings)


def _margin(metric: str, margin: float | None) -> float:
    if metric not in COMPARABLE:
        raise UserError(f"no column '{metric}'{did_you_mean(metric, COMPARABLE)}; use one of {', '.join(COMPARABLE)}")
    if margin is None and metric not in _SHARES:
        raise UserError(f"give --margin: how many {metric.rpartition('_')[2]} worse is no worse for {metric}")
    return MARGIN if margin is None else margin


def _findings(one: CaseTable, other: CaseTable, metric: str, margin: float) -> ComparisonFindings:
    shared = [key for key in one.rows if key in other.rows]
    if not shared:
        raise UserError(f"{one.path} and {other.path} have no case and label in common; are these the same patients?")
    for table in (one, other):
        if not any(cells.values.get(metric) is not None for cells in table.rows.values()):
            raise UserError(f"{table.path} has no column '{metric}'")
    names = _two_names(one, other)
    labels = dict.fromkeys(label for _, label in shared)
    shared.sort()  # resampling goes by it: neither table's own order counts
    order = (metric, *(name for name in COMPARABLE if name != metric))
    rows = {label: [(one.rows[key], other.rows[key]) for key in shared if key[1] == label] for label in labels}
    found = [
        _difference(label, name, rows[label], margin if name == metric else 0.0) for name in order for label in labels
    ]
    return ComparisonFindings(
        created_by=f"spleenseg {version('spleenseg')}",
        first=names[0],
        second=names[1],
        metric=metric,
        margin=margin,
        differences=tuple(one for one in found if one.patients),
        cases=tuple(_paired(key, one.rows[key], other.rows[key], metric) for key in shared),
        only_first=tuple(sorted({case for case, _ in one.rows.keys() - other.rows.keys()})),
        only_second=tuple(sorted({case for case, _ in other.rows.keys() - one.rows.keys()})),
    )


def _two_names(one: CaseTable, other: CaseTable) -> tuple[str, str]:
    """Return two different names, as short as they may be."""
    if one.name != other.name:
        return one.name, other.name
    longer = [f"{table.folder}/{table.name}" for table in (one, other)]
    return (longer[0], longer[1]) if longer[0] != longer[1] else (one.name, f"{one.name} (second)")


def _difference(label: str, name: str, rows: Sequence[tuple[Cells, Cells]], margin: float) -> Difference:
    first, second = ([_value(name, pair[place]) for pair in rows] for place in (0, 1))
    found = compare_paired(first, second, [cells.patient for cells, _ in rows])
    both = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    said = verdict(found.difference, margin, higher_is_better=name in HIGHER_IS_BETTER)
    return Difference(
        label=label,
        metric=name,
        patients=found.patients,
        first=sum(a for a, _ in both) / len(both) if both else None,
        second=sum(b for _, b in both) / len(both) if both else None,
        mean=found.difference.mean if found.difference else None,
        ci95=(found.difference.low, found.difference.high) if found.difference else None,
        p_value=found.p_value,
        higher=found.higher,
        lower=found.lower,
        equal=found.equal,
        verdict=said.value,
        margin=margin,
    )


def _value(name: str, cells: Cells) -> Cell:
    value = cells.values.get(name)
    return abs(value) if value is not None and name in _ERRORS else value


def _paired(key: tuple[str, str], one: Cells, other: Cells, metric: str) -> PairedCase:
    first, second = _value(metric, one), _value(metric, other)
    gap = None if first is None or second is None else first - second
    return PairedCase(case=key[0], patient=one.patient, label=key[1], first=first, second=second, difference=gap)


def _write(folder: Path, page: Path, findings: ComparisonFindings) -> None:
    from spleenseg.evaluation.compare_page import comparison_page

    columns = ("case", "patient", "label", "first", "second", "difference")
    write_csv(folder / "comparison.csv", columns, [[getattr(row, name) for name in columns] for row in findings.cases])
    write_json(folder / "comparison.json", findings.model_dump(mode="json"))
    write_text(page, comparison_page(findings))


def p_text(value: float) -> str:
    """Write a p-value."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
