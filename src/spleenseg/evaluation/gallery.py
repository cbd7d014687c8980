"""Pictures of the worst cases: where truth and prediction part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from spleenseg.evaluation.cases import CaseRow
from spleenseg.evaluation.findings import Picture
from spleenseg.files import atomic
from spleenseg.models.run_folder import RunFolder
from spleenseg.progress import Reporter
from spleenseg.render.compare import SIDE, compared

Mask = npt.NDArray[np.bool_]
_GAP = 8


class Scans(Protocol):
    """Where the masks and slices of a case come from."""

    def masks(self, case: str, label: str) -> tuple[Mask, Mask]:
        """Return truth and prediction, bool [z, y, x]."""

    def image(self, case: str, z: int) -> npt.NDArray[np.uint8] | None:
        """Return a slice, uint8 [y, x] or [y, x, 3]; None where there is no image."""

    def aspect(self, case: str) -> float:
        """Return the height of a pixel over its width."""

    def number(self, case: str, z: int) -> int:
        """Return the number of the slice at place `z`, as slices.csv has it."""


def draw_gallery(rows: Sequence[CaseRow], scans: Scans, run: RunFolder, reporter: Reporter) -> tuple[Picture, ...]:
    """Draw the cases with the lowest Dice, two slices each: that with most wrong pixels and that with most organ.

    Args:
        rows: the case table.
        scans: where masks and slices come from.
        run: says where the pictures go.
        reporter: shows progress.
    """
    known = [(row.metrics.dice, row) for row in rows if row.metrics.dice is not None]
    worst = sorted(((dice, row) for dice, row in known if dice < 1), key=lambda one: one[0])
    pictures = []
    with reporter.task("drawing the worst cases", min(len(worst), len(run.worst))) as task:
        for (dice, row), path in zip(worst, run.worst, strict=False):
            shown = _draw(row, scans, path)
            file = path.relative_to(run.root).as_posix() if path.is_relative_to(run.root) else str(path)
            pictures.append(Picture(file=file, case=row.case, label=row.label, dice=dice, slices=shown))
            task.advance(note=row.case)
    return tuple(pictures)


def _draw(row: CaseRow, scans: Scans, path: Path) -> tuple[int, ...]:
    from PIL import Image

    truth, found = scans.masks(row.case, row.label)
    shown = telling_slices(truth, found)
    aspect = scans.aspect(row.case)
    panels = [compared(scans.image(row.case, z), truth[z], found[z], aspect) for z in shown]
    if len(panels) == 1:
        panels.append(compared(scans.image(row.case, shown[0]), truth[shown[0]], found[shown[0]], aspect, plain=True))
    sheet = np.zeros((SIDE, 2 * SIDE + _GAP, 4), np.uint8)  # see-through between the two
    for panel, left in zip(panels, (0, SIDE + _GAP), strict=True):
        sheet[:, left : left + SIDE, :3] = panel
        sheet[:, left : left + SIDE, 3] = 255
    with atomic(path) as temporary:
        Image.fromarray(sheet).save(temporary, format="PNG")
    return tuple(scans.number(row.case, z) for z in shown)


def telling_slices(truth: Mask, found: Mask) -> tuple[int, ...]:
    """Return the slice with most wrong pixels and the one with most organ (of the truth, else predicted)."""
    wrong = (truth ^ found).sum(axis=(1, 2))
    organ = (truth if truth.any() else found).sum(axis=(1, 2))
    return tuple(dict.fromkeys((int(wrong.argmax()), int(organ.argmax()))))
