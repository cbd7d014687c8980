"""What a label map says of a scan, in the units of the clinic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from spleenseg.inference.guard import PADDING_HU
from spleenseg.inference.postprocess import Box, Pieces, box_of
from spleenseg.metrics.spleen_size import is_spleen, spleen_size
from spleenseg.volumes import Volume

COLUMNS = (
    *("case", "label", "volume_ml", "slices", "mean_hu", "sd_hu", "touches_border"),
    *("components", "stray_ml", "size_class", "quality", "engine", "notes"),
)
_SURELY_PADDING_HU = -1500  # from `PADDING_HU` down to this a region must be constant to be padding
_AROUND = 4  # pixels about the box of an organ: a constant region shows there
Row = list[str | int | float | None]


@dataclass(frozen=True)
class Origin:
    """Where a label map comes from.

    Attributes:
        pieces: by label name, what the network's own answer consisted of.
        quality: by label name, the Dice it probably has after post-processing; labels of which that is not known, or
            nothing is left, are missing.
        engine: what ran the network.
    """

    pieces: Mapping[str, Pieces] = field(default_factory=dict)
    quality: Mapping[str, float] = field(default_factory=dict)
    engine: str = ""


def measure(volume: Volume, labels: npt.NDArray[np.uint8], names: Mapping[str, int], origin: Origin) -> list[Row]:
    """Return one row of `COLUMNS` a label, also for labels that were not found (0 mL, no mean).

    Args:
        volume: the scan.
        labels: uint8 [z, y, x], of its shape.
        names: label name -> value.
        origin: where the labels come from.

    Returns:
        rows: case; label name; volume in mL; slices that hold it; mean and standard deviation in HU; "yes" where it
        touches the border of the scan or its padding: it may be cut off there, and the volume too small; pieces of
        the network's answer, and how many mL lay outside of the main one; for a whole spleen its `SizeClass`; the
        Dice that is expected; what ran the network; what was done on reading.
    """
    return [_row(volume, labels == value, name, origin) for name, value in names.items()]


def remarks(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a line for each label that somebody should look at: not found, cut off, or in several pieces."""
    for row in rows:
        facts = dict(zip(COLUMNS, row, strict=True))
        if found := "; ".join(_odd(facts)):
            yield f"{facts['case']}: {found}"


def touches_border(organ: npt.NDArray[np.bool_]) -> bool:
    """Tell whether an organ, bool [z, y, x], reaches any face of the scan."""
    faces = (face for axis in range(3) for face in (organ.take(0, axis), organ.take(-1, axis)))
    return any(bool(face.any()) for face in faces)


def touches_padding(hu: npt.NDArray[np.int16], organ: npt.NDArray[np.bool_], box: Box) -> bool:
    """Tell whether an organ comes within a pixel of what the scanner did not see, such as the rim of its circle.

    Padding is HU below -1500, and the least HU of the scan where that is below -1100 and fills 3 x 3 pixels.

    Args:
        hu: int16 [z, y, x].
        organ: bool [z, y, x], of its shape.
        box: that holds the organ.
    """
    least = int(hu.min())
    if least >= PADDING_HU:
        return False
    rows, columns = (slice(max(0, side.start - _AROUND), side.stop + _AROUND) for side in box[1:])
    around = np.ones((3, 3), np.uint8)
    for plane, inside in zip(hu[box[0], rows, columns], organ[box[0], rows, columns], strict=True):
        constant = cv2.morphologyEx((plane == least).astype(np.uint8), cv2.MORPH_OPEN, around)
        padding = (plane < _SURELY_PADDING_HU) | (constant > 0)
        if padding.any() and (cv2.dilate(inside.astype(np.uint8), around) * padding).any():
            return True
    return False


def _row(volume: Volume, organ: npt.NDArray[np.bool_], name: str, origin: Origin) -> Row:
    pieces, notes = origin.pieces.get(name), "; ".join(volume.notes) or None
    came = [pieces.count, round(pieces.stray_ml, 3)] if pieces else [None, None]
    quality = origin.quality.get(name)
    box = box_of(organ)
    if box is None:
        found: Row = [0.0, 0, None, None, "no", *came, None]
    else:
        inside = organ[box]
        hu = volume.array[box][inside]
        cut_off = touches_border(organ) or touches_padding(volume.array, organ, box)
        ml, slices = round(len(hu) * volume.voxel_ml, 3), int(np.count_nonzero(inside.any(axis=(1, 2))))
        means = [round(float(value), 1) for value in (hu.mean(dtype=np.float64), hu.std(dtype=np.float64))]
        size = str(spleen_size(ml)) if is_spleen(name) and not cut_off else None
        found = [ml, slices, *means, "yes" if cut_off else "no", *came, size]
    return [volume.case, name, *found, None if quality is None else round(quality, 3), origin.engine, notes]


def _odd(facts: Mapping[str, str | int | float | None]) -> Iterator[str]:
    pieces = int(facts["components"] or 0)
    if not facts["volume_ml"]:
        dropped = f" large enough to be kept, {facts['stray_ml']} mL in all" if pieces else ""
        yield f"no {facts['label']} found{dropped}"
        return
    if facts["touches_border"] == "yes":
        yield f"{facts['label']} reaches the border of the scan: it may be cut off there, and the volume too small"
    if pieces > 1:
        yield f"the network found {pieces} pieces of {facts['label']}, {facts['stray_ml']} mL astray"
