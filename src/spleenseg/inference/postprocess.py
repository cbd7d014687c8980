"""What is done to a label map after the network: which pieces stay, and whether holes are filled.

Every step is a function of the label map alone. Which steps help a network is measured on the validation split
(`postprocess_choice`) and recorded with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from spleenseg.metrics.components import number_pieces
from spleenseg.metrics.holes import with_holes_filled

Labels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Box = tuple[slice, slice, slice]
Components = Literal["all", "largest"]

WRONG_PLACE = 4.0
"""How many times as large a piece must be for each rule of `Place` that it breaks, to be taken for the organ."""
CUT_OFF = 0.2
"""From which share of `Postprocess.min_ml` on a piece stays that an end of the scan cuts off: chosen, not measured."""
BRIDGED_MM = 5.0
"""Up to how many millimetres of empty slices between two parts that lie over each other part nothing."""


class Place(BaseModel):
    """Where the centre of an organ lies.

    Attributes:
        side: the half of the scan, by the patient's left and right; None: in either.
        depth: the half towards the patient's back or front; None: in either.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    side: Literal["left", "right"] | None = None
    depth: Literal["back", "front"] | None = None


class Postprocess(BaseModel):
    """What is done to each label.

    Attributes:
        components: "all" pieces stay, or the "largest" alone: the one of the most voxels, where `WRONG_PLACE`
            weighs what lies where the organ does not.
        fill_holes: background that a label encloses within an axial slice becomes that label. A cavity closed on all
            sides is enclosed in each of its slices, so these are filled too.
        min_ml: pieces of fewer millilitres go, so that nothing may be left. Where the first or last slice cuts the
            main piece off it stays from `CUT_OFF` of that on, for what is missing of it lies outside of the scan;
            where it goes from the first to the last slice it stays whatever its size.
        places: by label name, where its centre lies; labels that are missing may lie anywhere.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    components: Components = "all"
    fill_holes: bool = False
    min_ml: float = Field(0.0, ge=0)
    places: dict[str, Place] = {}

    @property
    def steps(self) -> int:
        """How many things are done."""
        return (self.components == "largest") + self.fill_holes + (self.min_ml > 0)

    def words(self) -> str:
        """Return what is done, such as "largest component, holes filled"; "nothing" where nothing is."""
        done = ["largest component"] * (self.components == "largest") + ["holes filled"] * self.fill_holes
        done += [f"pieces below {self.min_ml:g} mL dropped"] * (self.min_ml > 0)
        return ", ".join(done) or "nothing"


NOTHING = Postprocess()
"""The label map stays as the network made it."""


@dataclass(frozen=True)
class Pieces:
    """What one label consisted of before anything was done to it.

    Attributes:
        count: its pieces; voxels that share a face, an edge or a corner are connected, and so are parts that lie over
            each other with no more empty slices between than `bridged_slices`.
        stray_ml: millilitres outside of the piece that is taken for the organ; all where none is large enough to be.
        kept: share of its voxels that stay, 0..1; what is filled in holes does not count.
    """

    count: int
    stray_ml: float
    kept: float = 1.0


def postprocess(
    labels: Labels,
    voxel_ml: float,
    names: Mapping[str, int],
    options: Postprocess = NOTHING,
    *,
    slice_mm: float | None = None,
) -> tuple[Labels, dict[str, Pieces]]:
    """Apply `options` to a label map.

    Args:
        labels: uint8 [z, y, x], x -> patient's left, y -> back.
        voxel_ml: volume of a voxel in mL.
        names: label name -> value.
        options: what to do.
        slice_mm: distance of the slices; None where nobody knows.

    Returns:
        a new label map, and by label name what it consisted of.
    """
    done, pieces, gap = labels.copy(), {}, bridged_slices(slice_mm)
    for name, value in names.items():
        box = box_of(labels == value)
        if box is None:
            pieces[name] = Pieces(0, 0.0)
            continue
        mask, place = labels[box] == value, options.places.get(name, Place())
        kept, pieces[name] = _kept(mask, gap, box, labels.shape, voxel_ml, options, place)
        done[box][mask & ~kept] = 0
    if options.fill_holes:
        for value in names.values():  # not before every label has lost its pieces: they leave holes in others
            _fill(done, value)
    return done, pieces


def bridged_slices(slice_mm: float | None) -> int:
    """Return how many empty slices part nothing: those of `BRIDGED_MM`, at least one, and one where nobody knows."""
    return max(1, round(BRIDGED_MM / slice_mm)) if slice_mm else 1


def _fill(labels: Labels, value: int) -> None:
    if (box := box_of(labels == value)) is not None:
        view = labels[box]
        view[fill_holes(view == value) & (view == 0)] = value


def box_of(mask: Mask) -> Box | None:
    """Return the smallest box that holds a mask [z, y, x]; None for an empty one."""
    found = []
    for axis in range(3):
        held = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        if not len(held):
            return None
        found.append(slice(int(held[0]), int(held[-1]) + 1))
    return found[0], found[1], found[2]


def fill_holes(mask: Mask) -> Mask:
    """Return a mask [z, y, x] with the background that it encloses within each slice; pixels connect by their edges."""
    return np.stack([with_holes_filled(plane) for plane in mask])


def _kept(
    mask: Mask, gap: int, box: Box, shape: tuple[int, ...], voxel_ml: float, options: Postprocess, place: Place
) -> tuple[Mask, Pieces]:
    """Return what stays of a label that is not empty, and what it was.

    Args:
        mask: its `box` of a scan of `shape`.
        gap: how many empty slices part nothing.
        box, shape: see `mask`.
        voxel_ml: volume of a voxel in mL.
        options: what to do.
        place: where the organ lies.
    """
    numbers, count = _numbered(mask, gap)
    voxels, y, x = _sizes_and_centres(numbers, count)
    main = _main_piece(voxels, y + box[1].start, x + box[2].start, shape, place)
    stays = voxels * voxel_ml >= options.min_ml
    ends = _ends_reached(numbers, main + 1, box[0], shape[0])
    stays[main] |= ends == 2 or (ends == 1 and voxels[main] * voxel_ml >= CUT_OFF * options.min_ml)
    if options.components == "largest":
        stays &= np.arange(count) == main
    stray = float((voxels.sum() - voxels[main] * stays[main]) * voxel_ml)
    found = Pieces(count, stray, float(voxels[stays].sum() / voxels.sum()))
    return mask if stays.all() else np.concatenate([[False], stays])[numbers], found


def _ends_reached(numbers: NDArray[np.integer], piece: int, held: slice, slices: int) -> int:
    """Return how many of the first and the last slice of a scan a piece reaches; `numbers` are those of `held`."""
    ends = [numbers[0]] * (held.start == 0) + [numbers[-1]] * (held.stop == slices)
    return sum(bool((end == piece).any()) for end in ends)


def _numbered(mask: Mask, gap: int) -> tuple[NDArray[np.integer], int]:
    """Number the pieces as `number_pieces`; up to `gap` empty slices between parts over each other part nothing.

    Networks of slices lose some to an artefact; what lies beyond them is the organ still.
    """
    numbers, count = number_pieces(_bridged(mask, gap))
    numbers *= mask
    return numbers, count


def _bridged(mask: Mask, gap: int) -> Mask:
    """Return a mask [z, y, x] with every stretch along z of up to `gap` empty pixels between two others filled.

    It goes slice by slice, which takes no more memory than the result.
    """
    bridged, never = mask.copy(), gap + 1
    empty = np.full(mask.shape[1:], never, np.int32)  # pixels since the last one of the mask
    for z, plane in enumerate(mask):
        ends = plane & (empty > 0) & (empty < never)
        for back in range(1, int(empty[ends].max(initial=0)) + 1):
            bridged[z - back] |= ends & (empty >= back)
        np.minimum(empty + 1, never, out=empty)
        empty[plane] = 0
    return bridged


def _sizes_and_centres(
    numbers: NDArray[np.integer], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the voxels of each piece, and the y and x of its centre; slice by slice, which takes hardly any memory."""
    voxels, y, x = np.zeros(count + 1, np.int64), np.zeros(count + 1), np.zeros(count + 1)
    for plane in numbers:
        rows, columns = np.nonzero(plane)
        piece = plane[rows, columns]
        voxels += np.bincount(piece, minlength=count + 1)
        y += np.bincount(piece, rows, count + 1)
        x += np.bincount(piece, columns, count + 1)
    return voxels[1:], y[1:] / voxels[1:], x[1:] / voxels[1:]


def _main_piece(
    voxels: NDArray[np.int64],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    shape: tuple[int, ...],
    place: Place,
) -> int:
    """Return the index of the piece that is taken for the organ: the first one of the most weight.

    Args:
        voxels: of each piece.
        y, x: where its centre lies in the scan.
        shape: of the scan.
        place: where the organ lies.
    """
    if len(voxels) == 1 or place == Place():
        return int(voxels.argmax())
    broken = np.zeros(len(voxels))
    if place.side is not None:
        broken += (x < (shape[2] - 1) / 2) if place.side == "left" else (x > (shape[2] - 1) / 2)
    if place.depth is not None:
        broken += (y < (shape[1] - 1) / 2) if place.depth == "back" else (y > (shape[1] - 1) / 2)
    return int((voxels / WRONG_PLACE**broken).argmax())
