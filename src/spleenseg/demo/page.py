"""The page a demonstration ends with: what was done, how good it is, and pictures."""

from __future__ import annotations

import csv
from pathlib import Path

from spleenseg.evaluation.evaluate import Evaluation
from spleenseg.files import write_text
from spleenseg.models.run_folder import RunFolder
from spleenseg.render import page as html

_SYNTHETIC = (
    "Every patient here is synthetic: geometry and noise made by a program. The figures show that the whole way "
    "works and that the program learns; they say nothing about patients."
)
_CASE_COLUMNS = ("case", "dice", "iou", "truth_ml", "pred_ml", "volume_error_ml", "hd95_mm", "nsd_2mm")


def write_page(out: Path, run: RunFolder, evaluation: Evaluation, segmentations: Path) -> Path:
    """Write `out/index.html`, self-contained, and return its path."""
    body = [
        html.paragraph(evaluation.headline(), "lead"),
        html.paragraph(_SYNTHETIC, "note"),
        html.heading("Held-out patients"),
        html.table(_read(run.cases_csv, _CASE_COLUMNS), "Figures of each held-out patient"),
        html.heading("Training"),
        html.gallery(
            [
                html.figure(run.losses_png, "Loss on training slices and on validation slices, by epoch"),
                html.figure(run.metrics_png, "Dice on training slices and on validation slices, by epoch"),
            ]
        ),
        html.heading("Patients never seen, segmented"),
        html.table(_read(segmentations / "volumes.csv"), "Volumes of the patients segmented"),
        *(
            html.figure(path, path.stem.removesuffix("_overlay"))
            for path in sorted(segmentations.glob("*_overlay.png"))
        ),
        html.heading("Next"),
        html.paragraph(f"The full report of the evaluation: {run.root.name}/{run.report.name}."),
        html.paragraph(f"The run folder is {run.root.name}/: config, weights, curves, figures by case."),
        html.paragraph("With CT of your own: spleenseg prepare, spleenseg config new, spleenseg train."),
    ]
    path = out / "index.html"
    write_text(path, html.page("spleenseg: the whole way on synthetic CT", body))
    return path


def _read(table: Path, columns: tuple[str, ...] = ()) -> list[dict[str, object]]:
    """Read a CSV for showing: numbers as numbers, chosen columns only."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{name: _value(row[name]) for name in (columns or row) if name in row} for row in rows]


def _value(text: str) -> object:
    """Numbers as numbers, whole ones whole; an empty cell is None."""
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text or None
