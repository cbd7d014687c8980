"""One picture that shows a whole segmentation: three planes through the organ, in true proportions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spleenseg.render.canvas import FAINT, TEXT, Canvas, font, shorten
from spleenseg.render.colors import RGB, label_colors
from spleenseg.render.masks import overlay

_LONGEST = 720  # pixels of the longest edge among the three planes
_MARGIN, _GAP = 20, 16
_HEADER, _CAPTION = 72, 26
_RULER_BAND = 34
_MORE_WIDTH = 90  # room for "and 12 more"
_TITLE_SIZE, _TEXT_SIZE, _LETTER_SIZE = 22, 17, 18

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Plane:
    """One plane ready to be shown: what is up is at the top, as a radiologist sees it.

    Attributes:
        caption: its name and place.
        image: int16 [rows, columns], HU.
        labels: uint8 [rows, columns].
        size_mm: (width, height).
        letters: the directions at its (left, right, top, bottom) edge.
    """

    caption: str
    image: NDArray[np.int16]
    labels: Labels
    size_mm: tuple[float, float]
    letters: str


def volume_overlay(
    array: NDArray[np.int16],
    labels: NDArray[np.generic],
    spacing: Sequence[float],
    path: Path,
    window: tuple[float, float] = (-160, 240),
    *,
    voxel_ml: float | None = None,
    title: str = "",
    names: Mapping[int, str] | None = None,
    colors: Mapping[int, RGB] | None = None,
    style: str = "contour",
    alpha: float = 0.4,
) -> None:
    """Write one PNG with the axial slice of the largest organ area and two planes through its centre.

    All three planes have the same scale and a radiological orientation (patient's right on the viewer's left,
    in the sagittal plane the front on the left). Without any label the middle planes are shown, and
    the picture says that no label was found.

    Args:
        array: int16 HU [z, y, x], x to the patient's left, y to the back, z up.
        labels: integer or bool [z, y, x], the same shape; 0 is background.
        spacing: voxel size (x, y, z) in mm.
        path: the PNG file.
        window: (low, high) in HU shown as black and white.
        voxel_ml: volume of a voxel in mL; None: the product of `spacing`, too large for sheared grids.
        title: what stands above the picture, such as the case.
        names: label -> name; a label without one is called by its number.
        colors: label -> (red, green, blue); default: `label_colors`.
        style: as in `overlay`.
        alpha: as in `overlay`.

    Raises:
        ValueError: the shapes differ or are not three-dimensional.
        UserError: `path` cannot be written.
    """
    if array.ndim != 3 or array.shape != labels.shape:
        raise ValueError(f"expected two arrays [z, y, x] of one shape, got {array.shape} and {labels.shape}")
    voxels = _voxels_by_slice(labels)
    colors = colors or label_colors(max(int(labels.max()), 1))
    planes = _planes(array, labels, spacing, voxels)
    scale = _LONGEST / max(side for plane in planes for side in plane.size_mm)
    pictures = [_picture(plane, scale, window, colors, style, alpha) for plane in planes]
    places, width, height = _layout(pictures)
    sheet = Canvas(width, height)
    sheet.write(shorten(title, width - 2 * _MARGIN, _TITLE_SIZE), (_MARGIN, 12), _TITLE_SIZE)
    voxel_ml = float(np.prod(spacing)) / 1000 if voxel_ml is None else voxel_ml
    _legend(sheet, voxels.sum(axis=0), voxel_ml, names or {}, colors)
    for plane, picture, (left, top) in zip(planes, pictures, places, strict=True):
        sheet.write(plane.caption, (left, top), _TEXT_SIZE, shade=FAINT)
        sheet.paste(picture, left, top + _CAPTION)
        _directions(sheet, plane.letters, left, top + _CAPTION, picture.shape[1], picture.shape[0])
    _ruler(sheet, scale, places[0][0], places[0][1] + _CAPTION + pictures[0].shape[0])
    sheet.save(path)


def _voxels_by_slice(labels: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return how many voxels every label has in every slice: int64 [z, 256]."""
    return np.stack([_voxels(plane.astype(np.uint8, copy=False)) for plane in labels])


def _voxels(plane: Labels) -> NDArray[np.int64]:
    """Count each label of a slice; most of a slice is background, and counted as what is left."""
    counts = np.bincount(plane[plane != 0], minlength=256)
    counts[0] = plane.size - counts.sum()
    return counts


def _planes(
    array: NDArray[np.int16],
    labels: NDArray[np.generic],
    spacing: Sequence[float],
    voxels: NDArray[np.int64],
) -> list[Plane]:
    z, y, x = _centre(labels, voxels)
    wide, deep, high = (extent * step for extent, step in zip(array.shape[::-1], spacing, strict=True))
    depth, rows, columns = array.shape

    def plane(caption: str, index: tuple[slice | int, ...], size: tuple[float, float], letters: str) -> Plane:
        return Plane(caption, array[index], labels[index].astype(np.uint8), size, letters)

    everything, upward = slice(None), slice(None, None, -1)
    return [
        plane(f"axial, slice {z + 1} of {depth}", (z, everything, everything), (wide, deep), "RLAP"),
        plane(f"coronal, row {y + 1} of {rows}", (upward, y, everything), (wide, high), "RLSI"),
        plane(f"sagittal, column {x + 1} of {columns}", (upward, everything, x), (deep, high), "APSI"),
    ]


def _centre(labels: NDArray[np.generic], voxels: NDArray[np.int64]) -> tuple[int, int, int]:
    """Return the slice of the largest area, and the planes with half of the organ on either side.

    The median, unlike the centre of mass, always lies in a plane that holds organ, however bent it is.
    """
    area = voxels[:, 1:].sum(axis=1)
    if not area.any():
        depth, rows, columns = labels.shape
        return depth // 2, rows // 2, columns // 2
    shadow = np.add.reduce((labels[area > 0] != 0).view(np.uint8), axis=0, dtype=np.uint32)  # [y, x]
    return int(area.argmax()), _median(shadow.sum(axis=1)), _median(shadow.sum(axis=0))


def _median(counts: NDArray[np.generic]) -> int:
    total = np.cumsum(counts, dtype=np.int64)
    return int(np.searchsorted(total, (total[-1] + 1) // 2))


def _picture(
    plane: Plane,
    scale: float,
    window: tuple[float, float],
    colors: Mapping[int, RGB],
    style: str,
    alpha: float,
) -> NDArray[np.uint8]:
    """Return the plane at the sheet's scale, with its labels over it: uint8 [height, width, 3]."""
    from PIL import Image

    from spleenseg.volumes.windows import apply_window

    size = (max(1, round(plane.size_mm[0] * scale)), max(1, round(plane.size_mm[1] * scale)))
    grey = Image.fromarray(apply_window(plane.image, window)).resize(size, Image.Resampling.BICUBIC)
    return overlay(np.asarray(grey), _enlarge(plane.labels, size), colors, style, alpha)


def _enlarge(labels: Labels, size: tuple[int, int]) -> Labels:
    """Resize a label map to (width, height): every label's 0/1 mask linearly, then the largest share wins."""
    from PIL import Image

    best = np.full(size[::-1], 127, np.uint8)
    result = np.zeros(size[::-1], np.uint8)
    for label in np.unique(labels[labels != 0]):
        mask = Image.fromarray((labels == label).astype(np.uint8) * 255)
        share = np.asarray(mask.resize(size, Image.Resampling.BILINEAR))
        result[share > best] = label
        best = np.maximum(best, share)
    return result


def _layout(pictures: Sequence[NDArray[np.uint8]]) -> tuple[list[tuple[int, int]], int, int]:
    """Return each picture's corner and the sheet's width and height.

    Flat volumes have their coronal and sagittal planes one below the other, beside the axial one.
    """
    (axial_height, axial_width), *others = [picture.shape[:2] for picture in pictures]
    stacked = sum(height for height, _ in others) + _GAP + _CAPTION <= 1.1 * axial_height
    second = _MARGIN + axial_width + _GAP
    if stacked:
        below = _HEADER + _CAPTION + others[0][0] + _GAP
        places = [(_MARGIN, _HEADER), (second, _HEADER), (second, below)]
    else:
        places = [(_MARGIN, _HEADER), (second, _HEADER), (second + others[0][1] + _GAP, _HEADER)]
    width, height = (
        max(place[side] + picture.shape[1 - side] for place, picture in zip(places, pictures, strict=True))
        for side in (0, 1)
    )
    return places, width + _MARGIN, height + _CAPTION + _RULER_BAND


def _legend(
    sheet: Canvas,
    counts: NDArray[np.int64],
    voxel_ml: float,
    names: Mapping[int, str],
    colors: Mapping[int, RGB],
) -> None:
    """Write every label's colour, name and volume into the header, as many as fit."""
    found = [label for label in range(1, 256) if counts[label]]
    if not found:
        sheet.write("no label found", (_MARGIN, 40), _TEXT_SIZE)
    left, right = float(_MARGIN), sheet.image.width - _MARGIN - _MORE_WIDTH
    for place, label in enumerate(found):
        words = f"{names.get(label, f'label {label}')}: {_volume(counts[label] * voxel_ml)}"
        width = 18 + font(_TEXT_SIZE).getlength(words)
        if left + width > right and place:
            sheet.write(f"and {len(found) - place} more", (left, 40), _TEXT_SIZE, shade=FAINT)
            break
        sheet.box(left, 41, 12, 12, colors.get(label, FAINT))
        sheet.write(words, (left + 18, 40), _TEXT_SIZE)
        left += width + 24


def _volume(millilitres: float) -> str:
    return f"{millilitres:.1f} mL" if millilitres >= 0.05 else "< 0.1 mL"


def _directions(sheet: Canvas, letters: str, left: int, top: int, width: int, height: int) -> None:
    """Mark the (left, right, top, bottom) edges of a picture with the patient's directions."""
    middle, centre, inset = top + height / 2, left + width / 2, 6
    sheet.mark(letters[0], (left + inset, middle), _LETTER_SIZE, "lm")
    sheet.mark(letters[1], (left + width - inset, middle), _LETTER_SIZE, "rm")
    sheet.mark(letters[2], (centre, top + inset), _LETTER_SIZE, "mt")
    sheet.mark(letters[3], (centre, top + height - inset), _LETTER_SIZE, "mb")


def _ruler(sheet: Canvas, scale: float, left: int, bottom: int) -> None:
    """Draw a bar of a round length below the axial plane: the scale of all three."""
    length = max((mm for mm in (1, 2, 5, 10, 20, 50, 100) if mm * scale <= _LONGEST / 5), default=1)
    width, middle = round(length * scale), bottom + 14
    sheet.box(left, middle - 1, width, 2, TEXT)
    for end in (left, left + width - 2):
        sheet.box(end, middle - 5, 2, 10, TEXT)
    sheet.write(f"{length} mm", (left + width + 8, middle), _TEXT_SIZE, "lm", FAINT)
