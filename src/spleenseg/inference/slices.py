"""A scan, slice by slice, shown to the model as it was trained, and its answers back on the scan's grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spleenseg.datasets.manifest import Expectation
from spleenseg.datasets.millimetres import PixelSize
from spleenseg.inference.engine import HU, Floats
from spleenseg.inference.labels import organ_probability
from spleenseg.inference.memory import on_disk
from spleenseg.inference.predictor import Pixels, SliceModel
from spleenseg.inference.shown import is_black, shown, with_neighbours
from spleenseg.inference.smoothing import Smoothing
from spleenseg.metrics.quality import THRESHOLDS

Sizes = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model found in a scan.

    Attributes:
        labels: uint8 [z, y, x], values as `Predictor.names` says, 0 for the background.
        probability: float32 [z, y, x], that a voxel is any label but the background; None unless asked for.
        sizes: int64 [label, threshold]: voxels from each of `metrics.quality.THRESHOLDS` on, the labels in the order
            of `Predictor.names`.
    """

    labels: npt.NDArray[np.uint8]
    probability: Floats | None
    sizes: Sizes


def predict_slices(
    hu: HU,
    predictor: SliceModel,
    *,
    slice_mm: float | None = None,
    pixel_size: PixelSize | None = None,
    batch_size: int | None = None,
    keep_probability: bool = False,
    spill: Path | None = None,
    smoothing: Smoothing | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Prediction:
    """Segment a scan. Only a batch of slices is held beside the scan and its labels.

    Args:
        hu: int16 HU [z, y, x], radiological axes (x -> patient's left, y -> back, z -> up).
        predictor: the model, with what it expects.
        slice_mm: distance of the slices, for models whose neighbours lie at a distance in mm.
        pixel_size: across and down in mm, for models that see pixels of a size in mm.
        batch_size: slices at once; None: as the model says.
        keep_probability: also return the probabilities (four bytes a voxel).
        spill: the folder whose temporary file holds the probabilities instead of memory.
        smoothing: of the probabilities, before anything is decided.
        advance: called after each slice.

    Returns:
        labels (and probabilities) on the grid of `hu`.
    """
    labels = np.zeros(hu.shape, np.uint8)
    probability = _room(hu.shape, spill) if keep_probability else None
    sizes = np.zeros((len(predictor.names), len(THRESHOLDS)), np.int64)
    found = _found(hu, predictor, slice_mm, pixel_size, batch_size or predictor.batch_size)
    for z, upright in enumerate(found if smoothing is None else smoothing.apply(found)):
        labels[z] = predictor.values(predictor.labels(upright))
        sizes += _sizes(upright)
        if probability is not None:
            probability[z] = organ_probability(upright)
        advance()
    return Prediction(labels, probability, sizes)


def shown_slices(hu: HU, expectation: Expectation, slice_mm: float | None = None) -> Iterator[Pixels]:
    """Yield each slice as the model's training images showed it: windows, left-right order, neighbours.

    Args:
        hu: int16 HU [z, y, x].
        expectation: what the model records.
        slice_mm: distance of the slices, needed where the model records `context_mm`.

    Yields:
        see `shown.shown`.
    """
    for z in range(len(hu)):
        yield shown(with_neighbours(hu, z, expectation, slice_mm), expectation)


def _room(shape: tuple[int, ...], spill: Path | None) -> Floats:
    return np.zeros(shape, np.float32) if spill is None else on_disk(shape, spill)


def _sizes(probabilities: Floats) -> Sizes:
    """Count the pixels of a slice [y, x, K] from each threshold on, by label."""
    organs = probabilities if probabilities.shape[-1] == 1 else probabilities[..., 1:]
    above = [[np.count_nonzero(organs[..., k] >= np.float32(t)) for t in THRESHOLDS] for k in range(organs.shape[-1])]
    return np.array(above, np.int64)


def _found(
    hu: HU, predictor: SliceModel, slice_mm: float | None, pixel_size: PixelSize | None, batch_size: int
) -> Iterator[Floats]:
    """Yield the probabilities of each slice, radiological, float32 [y, x, K].

    Slices of nothing but air are one picture to the network: it is asked once, and its answer serves for all.
    """
    black = is_black(hu, predictor.expectation, slice_mm)
    asked = ~black
    asked[np.flatnonzero(black)[:1]] = True
    stacks = (with_neighbours(hu, int(z), predictor.expectation, slice_mm) for z in np.flatnonzero(asked))
    predictor.expect(int(asked.sum()), batch_size)
    answers = _answers(stacks, predictor, pixel_size, batch_size)
    of_air: Floats | None = None
    for slice_is_black in black:
        if not slice_is_black:
            yield next(answers)
        else:
            of_air = next(answers) if of_air is None else of_air
            yield of_air


def _answers(
    stacks: Iterator[HU], predictor: SliceModel, pixel_size: PixelSize | None, batch_size: int
) -> Iterator[Floats]:
    while group := list(islice(stacks, batch_size)):
        yield from predictor.of_hu(np.stack(group), pixel_size)
