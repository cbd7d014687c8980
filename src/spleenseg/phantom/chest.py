"""The layers of the trunk, and what lies above the diaphragm: lung bases, heart, mediastinum."""

from __future__ import annotations

import numpy as np

from spleenseg.phantom.grid import Array
from spleenseg.phantom.shapes import chain, ellipsoid, intersect, noise, unite
from spleenseg.phantom.stage import Stage
from spleenseg.phantom.tissues import Tissue
from spleenseg.phantom.traits import Traits
from spleenseg.phantom.trunk import Trunk

_PLEURA = 3.0  # mm between the abdomen and the lung: the diaphragm


def paint_layers(stage: Stage) -> None:
    """Paint skin, fat, muscle, the fat of the cavity and the diaphragm."""
    trunk = stage.trunk
    stage.fill(Tissue.SKIN, trunk.skin, trunk.region)
    stage.fill(Tissue.FAT, trunk.skin - 2, trunk.region)
    stage.fill(Tissue.MUSCLE, trunk.muscle, trunk.region)
    _paint_seams(stage)
    stage.fill(Tissue.VISCERAL_FAT, trunk.wall, trunk.region)
    stage.fill(Tissue.DIAPHRAGM, np.minimum(trunk.wall, -trunk.abdomen), trunk.region)


def _paint_seams(stage: Stage) -> None:
    """Paint the layers of fat between the muscles of the flank, in the back, and between the straight muscles."""
    trunk = stage.trunk
    out, x, angle = -trunk.wall, trunk.region.x, trunk.round
    sides = np.minimum((angle - 0.95) * 80, (2.65 - angle) * 80)
    flank = np.minimum(sides, -15 - trunk.region.z)
    back = np.minimum((0.85 - angle) * 60, np.abs(x) - 8)
    front = np.minimum((angle - 2.7) * 80, 45 - trunk.region.z)
    sheets = (
        (out - 0.36 * trunk.thickness, flank, 0.45),
        (out - 0.7 * trunk.thickness, flank, 0.4),
        (out - 12 - 5 * np.cos(2.2 * angle), back, 0.6),
        (x, front, 0.9),
        (np.abs(x) - 58, front, 0.8),
    )
    for middle, within, half in sheets:
        stage.canvas.paint_sheet(
            middle.astype(np.float32), within.astype(np.float32), half, trunk.region.box, Tissue.FAT, [Tissue.MUSCLE]
        )


def paint_chest(stage: Stage) -> None:
    """Paint lungs with vessels, the mediastinum and the heart."""
    trunk, traits = stage.trunk, stage.traits
    above = -trunk.abdomen - _PLEURA
    middle = _mediastinum(trunk, traits)
    stage.fill(Tissue.VISCERAL_FAT, intersect(3, trunk.wall - 1, above, middle), trunk.region)
    lung = intersect(8, trunk.wall, above + 1, -middle)
    stage.fill(Tissue.LUNG, lung, trunk.region)
    rng = stage.streams["lung"]
    lines = np.hypot(noise(rng, stage.grid.shape, 12), noise(rng, stage.grid.shape, 12))
    stage.fill(Tissue.LUNG_VESSEL, np.minimum(2.2 - 8.5 * lines, lung - 2), trunk.region)
    _paint_heart(stage)


def _mediastinum(trunk: Trunk, traits: Traits) -> Array:
    """Return what lies between the lungs: a column before the spine, and the fat about the heart."""
    top = traits.dome / traits.build
    column = chain(trunk.region, [(6, -18, -40, 31), (6, -20, 200, 31)])
    front = chain(trunk.region, [(0, -155, top - 30, 22), (0, -155, 200, 14)])
    pad = ellipsoid(trunk.region, (22, -92, top + 28), (78, 54, 50))
    cava = chain(trunk.region, [(-16, -40, top - 30, 17), (-8, -55, 160, 17)])
    return unite(12, column, front, pad, cava)


def _paint_heart(stage: Stage) -> None:
    """Paint the heart on the diaphragm, its two lower chambers open."""
    trunk = stage.trunk
    top = stage.traits.dome / stage.traits.build
    body = ellipsoid(trunk.region, (26, -90, top + 36), (66, 46, 44))
    body = intersect(8, body, -trunk.abdomen - 5, trunk.wall - 7)
    stage.fill(Tissue.HEART_MUSCLE, body, trunk.region)
    at = trunk.region
    septum = at.x - 12 + 0.55 * (at.y + 92)
    left = intersect(6, body - 11, septum - 5)
    right = intersect(6, body - 4, -septum - 5)
    stage.fill(Tissue.BLOOD, np.maximum(left, right), at)
