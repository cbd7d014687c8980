"""Whether the masks of a dataset of pictures hold labels, and lie on what they label."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spleenseg.audit.findings import Finding
from spleenseg.audit.placement import place
from spleenseg.datasets.decode import read_image, read_mask
from spleenseg.datasets.folders import SliceFile
from spleenseg.datasets.manifest import Manifest
from spleenseg.datasets.parallel import in_threads
from spleenseg.errors import UserError
from spleenseg.progress import Reporter

_GREY = 128
_DARK, _BRIGHT = 48, 208  # JPEG turns 0 and 255 into their neighbours
_MOST_BETWEEN = 0.25  # of the organ's pixels: smoothed borders have some
_FEW_VALUES = 32  # masks darker than this hold numbers of labels
_MOST_SLICES = 8  # of a case, whose places are checked
_USUAL_PIXEL_MM = 400.0  # width of a usual image, divided by its pixels, where no manifest says more
_STEP_MM = 5.0

Pixels = NDArray[np.uint8]


def check_mask(file: SliceFile, mask: Pixels, manifest: Manifest | None) -> tuple[list[Finding], int]:
    """Return what is wrong with the values of a mask, and how many of its pixels are organ."""
    counts = np.bincount(mask.ravel(), minlength=256)
    if manifest is not None:
        wanted = [255] if len(manifest.labels) == 1 else list(manifest.labels.values())
        return _unknown(file, counts, wanted), int(counts[wanted].sum())
    brightest = int(np.flatnonzero(counts)[-1])
    if brightest < _FEW_VALUES:
        return [], int(counts[1:].sum())
    organ = int(counts[_GREY:].sum())
    between = int(counts[_DARK:_BRIGHT].sum())
    if between > _MOST_BETWEEN * max(organ, 1) and between > counts[_BRIGHT:].sum() * _MOST_BETWEEN:
        text = f"{between} pixels of the mask are neither black nor white; is this a mask?"
        return [Finding(file.name, "labels", "error", text)], organ
    return [], organ


def _unknown(file: SliceFile, counts: NDArray[np.intp], wanted: Sequence[int]) -> list[Finding]:
    unknown = [value for value in np.flatnonzero(counts).tolist() if value and value not in wanted]
    if not unknown:
        return []
    values, known = (", ".join(map(str, some[:5])) for some in (unknown, wanted))
    text = f"the mask holds the value {values} ({int(counts[unknown].sum())} pixels), known are {known}"
    return [Finding(file.name, "labels", "error", text)]


def check_places(
    files: Sequence[SliceFile], manifest: Manifest | None, threads: int | None, reporter: Reporter
) -> list[Finding]:
    """Check for every case that its masks lie on the organ; slices without organ are not given."""
    cases: dict[str, list[SliceFile]] = defaultdict(list)
    for file in files:
        cases[file.case].append(file)
    work = partial(_check_case, manifest=manifest)
    found = in_threads(work, list(cases.values()), "placing masks", threads, reporter)
    return [finding for some in found for finding in some]


def _check_case(files: Sequence[SliceFile], manifest: Manifest | None) -> list[Finding]:
    """Take some slices of a case for a stack, and look along x and y for a place that fits its masks better."""
    chosen = np.linspace(0, len(files) - 1, min(_MOST_SLICES, len(files))).round().astype(int)
    stack = _stack([files[number] for number in chosen])
    if stack is None:
        return []
    grey, organ = stack
    case = files[0].case
    low, high = manifest.window_hu if manifest else (0.0, 255.0)
    hu = (low + grey.astype(np.float32) * ((high - low) / 255)).astype(np.int16)
    pixel = (_USUAL_PIXEL_MM / grey.shape[2],) * 2
    if manifest and case in manifest.cases:
        pixel = manifest.cases[case].spacing[:2]
    placed = place(hu, organ, (pixel[0], pixel[1], _STEP_MM), across=False)
    if placed is None or not placed.is_displaced(solid=manifest is not None):
        return []
    x, y, _ = placed.displacement
    across, down = abs(x / pixel[0]), abs(y / pixel[1])
    where = f"{across:.0f} pixels to the {'right' if x > 0 else 'left'}, {down:.0f} {'down' if y > 0 else 'up'}"
    text = f"the masks do not lie on the organ: they would fit much better {where} (fit here {placed.fit:.2f} of that)"
    return [Finding(case, "shifted", "error", text)]


def _stack(files: Sequence[SliceFile]) -> tuple[Pixels, NDArray[np.bool_]] | None:
    """Return the slices of one size and where their organ is; None where they cannot be read or differ in size."""
    try:
        greys = [read_image(file.image).max(axis=2) for file in files]
        masks = [read_mask(file.mask) for file in files if file.mask is not None]
    except UserError:
        return None
    if len({picture.shape for picture in (*greys, *masks)}) != 1 or len(greys) != len(masks):
        return None
    truth = np.stack(masks)
    return np.stack(greys), truth >= (_GREY if truth.max() >= _FEW_VALUES else 1)
