"""What hollow organs hold: fluid, positive contrast, stool, and gas in front (the patient lies on the back)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spleenseg.phantom.grid import Array, Region
from spleenseg.phantom.shapes import noise
from spleenseg.phantom.stage import Stage
from spleenseg.phantom.tissues import Tissue


def fill_hollow(
    stage: Stage,
    lumen: Array,
    at: Region,
    rng: np.random.Generator,
    gas: float,
    *,
    uneven: float = 0.0,
    stool: bool = False,
) -> None:
    """Fill a lumen whose wall has been painted.

    Args:
        stage: the patient; `traits.oral_contrast` says whether some of the fluid is bright.
        lumen: the inside, in the box.
        at: the box.
        rng: where the contents are drawn from.
        gas: about which share of the lumen is gas.
        uneven: by how many mm the level of the gas differs from loop to loop.
        stool: whether it holds stool instead of fluid.
    """
    inside = lumen > 0
    if not inside.any():
        return
    wall = [Tissue.GUT_WALL]
    stage.fill(Tissue.STOOL if stool else Tissue.FLUID, lumen, at, wall)
    if stage.traits.oral_contrast:
        settled = _level(at, inside, rng.uniform(-0.5, 0.7)) + (5 + uneven) * noise(rng, at.x.shape, 40)
        stage.fill(Tissue.CONTRAST, np.minimum(lumen + 3, at.y - settled), at, [Tissue.FLUID, Tissue.STOOL])
    level = _level(at, inside, gas) + uneven * noise(rng, at.x.shape, 70)
    pocket = np.minimum(lumen + 3, level - at.y)
    stage.fill(Tissue.GAS, pocket, at, [Tissue.FLUID, Tissue.STOOL, Tissue.CONTRAST])


def _level(at: Region, inside: NDArray[np.bool_], share: float) -> float:
    """Return the y in front of which a share of the lumen lies."""
    return float(np.quantile(at.y[inside], np.clip(share, 0, 1)))
