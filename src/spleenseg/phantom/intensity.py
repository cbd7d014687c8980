"""From tissues to HU before the scanner: means, grain and clouds, and the mottled spleen of the arterial phase."""

from __future__ import annotations

import numpy as np

from spleenseg.phantom.grid import Array
from spleenseg.phantom.shapes import noise
from spleenseg.phantom.stage import Stage
from spleenseg.phantom.tissues import Tissue, looks, tables

_CHUNK = 16  # slices


def hu_of(stage: Stage) -> Array:
    """Return float32 HU [z, y, x] of everything that was painted."""
    tissue = stage.canvas.tissue
    means, grains, clouds = tables(looks(stage.traits, stage.streams["looks"]))
    rng = stage.streams["texture"]
    grain, cloud = noise(rng, stage.grid.shape, 4.5), noise(rng, stage.grid.shape, 15)
    hu = np.empty(tissue.shape, np.float32)
    for start in range(0, len(tissue), _CHUNK):
        part = slice(start, start + _CHUNK)
        hu[part] = means[tissue[part]]
        hu[part] += grains[tissue[part]] * stage.grid.planes(grain, part)
        hu[part] += clouds[tissue[part]] * stage.grid.planes(cloud, part)
    if stage.traits.phase == "arterial":
        _mottle(stage, hu)
    return hu


def _mottle(stage: Stage, hu: Array) -> None:
    """Give the spleen its bright and dark bands: red and white pulp take up contrast at different speeds."""
    rng = stage.streams["mottle"]
    strength = np.float32(rng.uniform(13, 32))
    bands = np.sin(2.4 * noise(rng, stage.grid.shape, 16)) + 0.4 * noise(rng, stage.grid.shape, 8)
    is_spleen = stage.canvas.tissue == Tissue.SPLEEN
    for k in np.flatnonzero(is_spleen.any(axis=(1, 2))):
        plane = stage.grid.planes(bands, slice(int(k), int(k) + 1))[0]
        hu[k] += strength * plane * is_spleen[k]
