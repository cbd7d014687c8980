"""The files an evaluation leaves: tables, report.json and the page, all with the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from spleenseg.evaluation.cases import CaseRow, Empty, SliceRow
from spleenseg.evaluation.collect import case_findings, label_findings, mean_over_labels
from spleenseg.evaluation.findings import CalibrationFindings, Findings, QualityFindings, ThresholdFindings
from spleenseg.evaluation.gallery import Scans, draw_gallery
from spleenseg.evaluation.outcome import Evaluation, LabelSummary
from spleenseg.evaluation.report import write_report
from spleenseg.evaluation.tables import write_cases, write_figures, write_slices, write_summary
from spleenseg.models.run_folder import RunFolder
from spleenseg.progress import Reporter


@dataclass(frozen=True)
class Facts:
    """What is known of an evaluation beside its rows; see `Findings`."""

    title: str
    section: str
    provenance: Mapping[str, str]
    figures: Mapping[str, float] = field(default_factory=dict)
    threshold: ThresholdFindings | None = None
    calibration: tuple[CalibrationFindings, ...] = ()
    quality: tuple[QualityFindings, ...] = ()
    predicted_dice: Mapping[tuple[str, str], float] = field(default_factory=dict)
    config: dict[str, dict[str, Any]] | None = None
    remarks: tuple[str, ...] = ()
    empty: Empty = "defined"


def publish(
    run: RunFolder,
    cases: tuple[CaseRow, ...],
    slices: tuple[SliceRow, ...],
    facts: Facts,
    scans: Scans,
    reporter: Reporter,
) -> Evaluation:
    """Write every file of an evaluation into `run` and return its result.

    Args:
        run: the folder.
        cases: the rows of the case table, at least one; `facts.empty` is applied here, to every file alike.
        slices: the rows of the slice table.
        facts: what else is known.
        scans: masks and slices for the gallery.
        reporter: shows progress.
    """
    cases = tuple(row.under(facts.empty) for row in cases)
    names = tuple(dict.fromkeys(row.label for row in cases))
    labels = tuple(label_findings(name, cases, slices) for name in names)
    findings = Findings(
        created_by=f"spleenseg {version('spleenseg')}",
        title=facts.title,
        section=facts.section,
        empty=facts.empty,
        figures=dict(facts.figures),
        labels=labels,
        mean=mean_over_labels(labels),
        cases=tuple(case_findings(row, facts.predicted_dice.get((row.case, row.label))) for row in cases),
        threshold=facts.threshold,
        calibration=facts.calibration,
        quality=facts.quality,
        gallery=draw_gallery(cases, scans, run, reporter),
        provenance=dict(facts.provenance),
        config=facts.config,
        remarks=facts.remarks,
    )
    if facts.figures:
        write_figures(run.evaluation_csv, facts.figures)
    write_cases(run.cases_csv, cases)
    write_slices(run.slices_csv, slices)
    write_summary(run.summary_csv, findings)
    findings.write(run.report_json)
    write_report(run, findings, slices)
    summaries = tuple(LabelSummary.of(name, cases, slices, findings) for name in names)
    return Evaluation(facts.section, run, dict(facts.figures), cases, slices, summaries, findings)
