"""How pictures of slices are displayed: whether the spine is below, and on which side the liver is.

Many slices of many patients are brought to one frame, the box about the body, and looked at together as the slices of a
scan are: what is bright near the midline in most of them is the spine. Grey values are taken as a scale between soft
tissue and the brightest bone, because pictures may have any window.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spleenseg.audit.body import PIXEL_MM, Body
from spleenseg.audit.findings import AxisVerdict, Finding
from spleenseg.audit.orientation import deep_tissue, spine
from spleenseg.datasets.decode import read_image
from spleenseg.datasets.folders import SliceFile
from spleenseg.datasets.manifest import Manifest
from spleenseg.errors import UserError
from spleenseg.metrics.holes import with_holes_filled

_MOST_PICTURES = 120
_LEAST_PICTURES = 5
_FRAME = (64, 84)  # cells of 4 mm: the box about the body
_BORDER = 4
_SOFT_HU, _BONE_HU = 50.0, 400.0
_LEAST_BODY, _MOST_BODY = 0.05, 0.97  # share of the picture
_TOP_SHARE = 99.8

Frame = NDArray[np.float32]


def judge_display(
    files: Sequence[SliceFile], manifest: Manifest | None
) -> tuple[list[Finding], tuple[AxisVerdict, ...]]:
    """Say how pictures are displayed.

    Returns:
        An error where they contradict their manifest; without one, a note where they are not shown with the spine
        below and the patient's left on the viewer's right. And the verdicts, against radiological display.
    """
    frames = list(_frames(files))
    if len(frames) < _LEAST_PICTURES:
        return [], ()
    hu = np.stack([frame for frame, _ in frames])
    inside = np.stack([body for _, body in frames])
    count = len(frames)
    stack = Body(hu, inside, np.zeros(count), np.ones(count, bool), PIXEL_MM)
    vertical = spine(stack)
    sides = deep_tissue(stack, vertical.verdict)
    below = vertical.as_verdict("pictures", "spine below")
    right = replace(sides.as_verdict("pictures", "liver on the left"), evidence=_seen_sides(sides.score))
    return _findings(below, right, manifest), (below, right)


def _findings(below: AxisVerdict, right: AxisVerdict, manifest: Manifest | None) -> list[Finding]:
    found = []
    if below.verdict == "contradicts":
        text = "the pictures are upside down: the spine is above; turn them before comparing with others"
        found.append(Finding("pictures", "orientation", "error" if manifest else "note", text))
    mirrored = right.verdict == "contradicts"
    if manifest is None and mirrored:
        text = "the pictures are mirrored left-right: the liver is on the viewer's right, as the reference shows them"
        found.append(Finding("pictures", "orientation", "note", text))
    expected = manifest is not None and manifest.display == "reference"
    if manifest is not None and right.verdict != "uncertain" and mirrored != expected:
        side = "right" if mirrored else "left"
        text = f"the manifest says display {manifest.display}, but the liver is on the viewer's {side}"
        found.append(Finding("pictures", "orientation", "error", text))
    return found


def _seen_sides(score: float | None) -> str:
    if score is None:
        return "there is no large solid organ"
    side = "left" if score > 0 else "right"
    return f"{(1 + abs(score)) / 2:.0%} of the deep soft tissue is on the viewer's {side}"


def _frames(files: Sequence[SliceFile]) -> Iterator[tuple[Frame, NDArray[np.bool_]]]:
    for file in _chosen(files):
        try:
            grey = read_image(file.image).max(axis=2)
        except UserError:
            continue
        frame = _in_frame(grey)
        if frame is not None:
            yield frame


def _chosen(files: Sequence[SliceFile]) -> list[SliceFile]:
    """Choose at most 120 slices, of as many cases as can be, from the middle of each."""
    cases: dict[str, list[SliceFile]] = defaultdict(list)
    for file in files:
        cases[file.case].append(file)
    each = max(1, _MOST_PICTURES // max(1, len(cases)))
    chosen = []
    for theirs in list(cases.values())[:_MOST_PICTURES]:
        ordered = sorted(theirs, key=lambda file: (file.index or 0, file.name))
        places = np.linspace(0, len(ordered) - 1, min(each, len(ordered)) + 2)[1:-1]
        chosen += [ordered[round(float(place))] for place in places]
    return list(dict.fromkeys(chosen))


def _in_frame(grey: NDArray[np.uint8]) -> tuple[Frame, NDArray[np.bool_]] | None:
    """Bring a picture to the common frame, its grey to a scale like HU; None where no body is seen."""
    import cv2

    body = _body_of(grey)
    if not _LEAST_BODY < body.mean() < _MOST_BODY:
        return None
    rows, columns = np.flatnonzero(body.any(axis=1)), np.flatnonzero(body.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    values = grey[body]
    soft = float(np.median(values[values > 0])) if values.any() else 0.0
    top = float(np.percentile(values, _TOP_SHARE))
    if top <= soft + 5:
        return None
    scaled = _SOFT_HU + (grey[box].astype(np.float32) - soft) * ((_BONE_HU - _SOFT_HU) / (top - soft))
    height, width = _FRAME
    frame = cv2.resize(scaled, (width, height), interpolation=cv2.INTER_AREA)
    inside = cv2.resize(body[box].astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    border = ((_BORDER, _BORDER), (_BORDER, _BORDER))
    return np.pad(frame, border, constant_values=-1000), np.pad(inside, border)


def _body_of(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the largest bright piece of a picture, closed: the body without the table."""
    import cv2

    side = max(grey.shape)
    size = max(3, side // 64) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    level, _ = cv2.threshold(cv2.GaussianBlur(grey, (5, 5), 0), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    bright = (grey > 0.5 * level).astype(np.uint8)
    pieces_of = cv2.morphologyEx(cv2.morphologyEx(bright, cv2.MORPH_CLOSE, kernel), cv2.MORPH_OPEN, kernel)
    count, pieces, figures, _ = cv2.connectedComponentsWithStats(pieces_of, connectivity=4)
    if count < 2:
        return np.zeros(grey.shape, bool)
    largest = 1 + int(np.argmax(figures[1:, cv2.CC_STAT_AREA]))
    return with_holes_filled(pieces == largest)
