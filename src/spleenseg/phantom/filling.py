"""What hollow organs hold: fluid, positive contrast, stool, and gas in front (the patient lies on the back)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from spleenseg.phantom.grid import Array, Region
from spleenseg.phantom.shapes import noise
from spleenseg.phantom.stage import Stage
from spleenseg.phantom.tissues import Tissue


def paint_hollow(
    stage: Stage,
    shape: Array,
    at: Region,
    rng: np.random.Generator,
    *,
    over: Iterable[Tissue],
    wall: float,
    gas: float,
    uneven: float = 0.0,
    stool: bool = False,
) -> None:
    """Paint a hollow organ and what it holds; hollow organs painted before keep what they hold.

    Args:
        stage: the patient; `traits.oral_contrast` says whether some of the contents is bright.
        shape: the organ with its wall, in the box.
        at: the box.
        rng: where the contents are drawn from.
        over: the tissues the organ is painted over.
        wall: thickness of the wall, in mm.
        gas: about which share of the lumen is gas.
        uneven: by how many mm the level of the gas differs from loop to loop.
        stool: whether it holds stool instead of fluid.
    """
    lumen = shape - np.float32(wall)
    inside = lumen > 0
    stage.fill(Tissue.WET_WALL, shape, at, over)
    if inside.any():
        stage.fill(Tissue.WET_LUMEN, lumen, at, [Tissue.WET_WALL])
        level = _level(at, inside, gas) + uneven * noise(rng, at.x.shape, 70)
        stage.fill(Tissue.GAS, np.minimum(lumen + 3, level - at.y), at, [Tissue.WET_LUMEN])
        if stage.traits.oral_contrast:
            settled = _level(at, inside, rng.uniform(-0.5, 0.7)) + (5 + uneven) * noise(rng, at.x.shape, 40)
            stage.fill(Tissue.CONTRAST, np.minimum(lumen + 3, at.y - settled), at, [Tissue.WET_LUMEN])
        stage.fill(Tissue.STOOL if stool else Tissue.FLUID, lumen + 1, at, [Tissue.WET_LUMEN])
    stage.fill(Tissue.GUT_WALL, shape + 1, at, [Tissue.WET_WALL])


def _level(at: Region, inside: NDArray[np.bool_], share: float) -> float:
    """Return the y in front of which a share of the lumen lies."""
    return float(np.quantile(at.y[inside], np.clip(share, 0, 1)))
