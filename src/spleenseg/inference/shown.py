"""A slice of a scan as a model's training images showed it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spleenseg.datasets.manifest import Expectation
from spleenseg.datasets.stacks import reach
from spleenseg.inference.engine import HU
from spleenseg.volumes import apply_window


def with_neighbours(hu: HU, z: int, look: Expectation, slice_mm: float | None = None) -> HU:
    """Return a slice of a scan and its neighbours.

    Args:
        hu: int16 [z, y, x].
        z: which slice.
        look: how many neighbours, and how far apart.
        slice_mm: distance of the slices, needed where the model records `context_mm`.

    Returns:
        int16 [S, y, x] from the lowest up; beyond an end of the scan the outermost slice again.
    """
    steps = np.array(reach(look.context, look.context_mm, slice_mm))
    near: HU = hu[np.clip(z + steps, 0, len(hu) - 1)]
    return near


def shown(near: HU, look: Expectation) -> npt.NDArray[np.uint8]:
    """Show a slice and its neighbours, int16 HU [S, y, x], through each window and in the display's order.

    Returns:
        uint8 [y, x], or with neighbours or several windows [y, x, C]: for each window the slices from the lowest up.
    """
    grey = np.concatenate([apply_window(near, window) for window in look.shown_windows])
    grey = grey[:, :, ::-1] if look.display == "reference" else grey
    return np.ascontiguousarray(grey.transpose(1, 2, 0) if look.channels > 1 else grey[0])


def floor_of(look: Expectation) -> int:
    """Return an HU that is black in every window of a model: what lies outside of the patient."""
    return int(np.floor(min(low for low, _ in look.shown_windows)))


def is_black(hu: HU, look: Expectation, slice_mm: float | None = None) -> npt.NDArray[np.bool_]:
    """Tell of each slice, bool [z], whether it and its neighbours show nothing: all below every window (air).

    All such slices are the same picture to the model.
    """
    lowest = min(low for low, _ in look.shown_windows)
    dark = hu.max(axis=(1, 2)) <= lowest
    steps = np.array(reach(look.context, look.context_mm, slice_mm))
    near = np.clip(np.arange(len(hu))[:, None] + steps, 0, len(hu) - 1)
    black: npt.NDArray[np.bool_] = dark[near].all(axis=1)
    return black
