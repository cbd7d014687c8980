"""Parts of the report along the patient's axis: slice Dice, and the gallery of the worst cases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from spleenseg.evaluation import words
from spleenseg.evaluation.cases import SliceRow
from spleenseg.evaluation.findings import Findings
from spleenseg.models.run_folder import RunFolder
from spleenseg.render import page as html
from spleenseg.render import plots


def along(label: str, slices: Sequence[SliceRow]) -> dict[str, list[tuple[float, float]]]:
    """Return by case (place from 0 to 1 between the organ's outermost slices, slice Dice)."""
    cases: dict[str, list[SliceRow]] = defaultdict(list)
    for row in slices:
        if row.label == label and row.truth_pixels and row.index is not None:
            cases[row.case].append(row)
    lines = {}
    for case, rows in cases.items():
        rows.sort(key=lambda row: row.index or 0)
        first, last = rows[0].index or 0, rows[-1].index or 0
        if last > first:
            lines[case] = [(((row.index or 0) - first) / (last - first), row.dice) for row in rows]
    return lines


def gallery_part(run: RunFolder, findings: Findings, slices: Sequence[SliceRow]) -> list[str]:
    """Return the pictures of the worst cases, each over the organ in its slices; nothing where there is none."""
    shown = []
    for picture in findings.gallery:
        path = run.root / picture.file
        if not path.is_file():
            continue
        dice = words.number("dice", picture.dice)
        caption = f"{picture.case}: {picture.label}, Dice {dice}. {_shown(picture.slices)}"
        shown.append(f"<div>{html.figure(path, caption)}{_profile(picture.case, picture.label, slices)}</div>")
    if not shown:
        return []
    said = "The lowest Dice first. Truth is outlined in blue, the prediction in amber; below, the organ in each slice."
    return [html.heading(f"The worst {words.cases(len(shown))}"), html.paragraph(said), html.gallery(shown)]


def _shown(slices: Sequence[int]) -> str:
    if len(slices) == 1:
        return f"Slice {slices[0]}: most wrong pixels; beside it without outlines."
    return f"Slice {slices[0]}: most wrong pixels; slice {slices[1]}: most organ."


def _profile(case: str, label: str, slices: Sequence[SliceRow]) -> str:
    own = [row for row in slices if row.case == case and row.label == label and row.index is not None]
    held = [row.index or 0 for row in own if row.truth_pixels or row.pred_pixels]
    if not held:
        return ""
    near = sorted((r for r in own if min(held) - 2 <= (r.index or 0) <= max(held) + 2), key=lambda row: row.index or 0)
    index, truth, found = zip(*((row.index or 0, row.truth_pixels, row.pred_pixels) for row in near), strict=True)
    return plots.profile(index, truth, found, f"Organ in each slice of {case}: truth and prediction")
