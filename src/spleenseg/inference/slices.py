"""A scan, slice by slice, shown to the model as it was trained, and its answers back on the scan's grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spleenseg.datasets.manifest import Expectation
from spleenseg.datasets.stacks import reach
from spleenseg.inference.engine import HU, Floats, HuEngine
from spleenseg.inference.labels import organ_probability
from spleenseg.inference.memory import on_disk
from spleenseg.inference.predictor import Pixels, Predictor
from spleenseg.volumes import apply_window


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model found in a scan.

    Attributes:
        labels: uint8 [z, y, x], values as `Predictor.names` says, 0 for the background.
        probability: float32 [z, y, x], that a voxel is any label but the background; None unless asked for.
    """

    labels: npt.NDArray[np.uint8]
    probability: Floats | None


def predict_slices(
    hu: HU,
    predictor: Predictor,
    *,
    slice_mm: float | None = None,
    keep_probability: bool = False,
    spill: Path | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Prediction:
    """Segment a scan. Only a batch of slices is held beside the scan and its labels.

    Args:
        hu: int16 HU [z, y, x], radiological axes (x -> patient's left, y -> back, z -> up).
        predictor: the model, with what it expects.
        slice_mm: distance of the slices, for models whose neighbours lie at a distance in mm.
        keep_probability: also return the probabilities (four bytes a voxel).
        spill: the folder whose temporary file holds the probabilities instead of memory.
        advance: called after each slice.

    Returns:
        labels (and probabilities) on the grid of `hu`.
    """
    labels = np.zeros(hu.shape, np.uint8)
    probability = _room(hu.shape, spill) if keep_probability else None
    for z, upright in enumerate(_found(hu, predictor, slice_mm)):
        labels[z] = predictor.values(predictor.labels(upright))
        if probability is not None:
            probability[z] = organ_probability(upright)
        advance()
    return Prediction(labels, probability)


def _room(shape: tuple[int, ...], spill: Path | None) -> Floats:
    return np.zeros(shape, np.float32) if spill is None else on_disk(shape, spill)


def _found(hu: HU, predictor: Predictor, slice_mm: float | None) -> Iterator[Floats]:
    """Yield the probabilities of each slice, radiological, float32 [y, x, K]."""
    look, engine = predictor.expectation, predictor.engine
    if isinstance(engine, HuEngine):
        for start in range(0, len(hu), predictor.batch_size):
            group = range(start, min(start + predictor.batch_size, len(hu)))
            yield from engine.of_hu(np.stack([_near(hu, z, look, slice_mm) for z in group]))
        return
    for found in predictor.probabilities(shown_slices(hu, look, slice_mm)):
        yield found[:, ::-1] if look.display == "reference" else found


def _near(hu: HU, z: int, look: Expectation, slice_mm: float | None) -> HU:
    """Return a slice and its neighbours from the lowest up, int16 [S, y, x]; beyond an end the outermost again."""
    steps = np.array(reach(look.context, look.context_mm, slice_mm))
    near: HU = hu[np.clip(z + steps, 0, len(hu) - 1)]
    return near


def shown_slices(hu: HU, expectation: Expectation, slice_mm: float | None = None) -> Iterator[Pixels]:
    """Yield each slice as the model's training images showed it: windows, left-right order, neighbours.

    Args:
        hu: int16 HU [z, y, x].
        expectation: what the model records.
        slice_mm: distance of the slices, needed where the model records `context_mm`.

    Yields:
        uint8 [y, x], or with neighbours or several windows [y, x, C]: for each window the slice and its
        neighbours from the lowest up; beyond the first and the last one the outermost is repeated.
    """
    for z in range(len(hu)):
        near = _near(hu, z, expectation, slice_mm)
        grey = np.concatenate([apply_window(near, window) for window in expectation.shown_windows])
        shown = grey[:, :, ::-1] if expectation.display == "reference" else grey
        yield np.ascontiguousarray(shown.transpose(1, 2, 0) if expectation.channels > 1 else shown[0])
