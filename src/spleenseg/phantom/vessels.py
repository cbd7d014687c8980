"""The great vessels of the abdomen."""

from __future__ import annotations

import numpy as np

from spleenseg.phantom.grid import Array, Region
from spleenseg.phantom.shapes import chain, unite
from spleenseg.phantom.stage import SOFT, Stage
from spleenseg.phantom.tissues import Tissue


def aorta(at: Region, rng: np.random.Generator) -> Array:
    """Return the aorta: beside the spine in the chest, before it in the abdomen."""
    r = rng.normal(10.5, 1.2)
    bend = rng.normal(0, 4, 4)
    nodes = [
        (22 + bend[0], -17, 260, r + 1.5),
        (19 + bend[0], -23, 90, r + 1),
        (10 + bend[1], -30, 40, r),
        (8 + bend[2], -33, -30, r - 0.5),
        (5 + bend[3], -33, -160, r - 1.5),
    ]
    return chain(at, nodes, rounding=14)


def aortic_branches(at: Region, rng: np.random.Generator) -> Array:
    """Return coeliac trunk, superior mesenteric and renal arteries."""
    jog = rng.normal(0, 3, 6)
    splenic = [
        (10, -46, 18, 3.2),
        (30, -56 + jog[0], 28 + jog[1], 3),
        (56, -36 + jog[2], 34 + jog[3], 3),
        (80, -20, 34, 2.4),
    ]
    hepatic = [(8, -40, 16, 3.6), (8, -52, 18, 3.4), (-22, -66, 14, 2.8), (-38, -60, 24, 2.4)]
    mesenteric = [(8, -40, 2, 3.8), (8, -56, -12, 3.8), (6, -66, -90, 3.2)]
    renal = [(-42, -12, -14, 2.8), (-12, -26, -8, 2.8), (8, -32, -6, 3), (24, -22, -6, 2.8), (44, -8, -6, 2.8)]
    return unite(1, *(chain(at, nodes, rounding=1) for nodes in (splenic, hepatic, mesenteric, renal)))


def vena_cava(at: Region, rng: np.random.Generator) -> Array:
    """Return the inferior vena cava with the renal veins."""
    r = rng.normal(10.5, 1.3)
    trunk = chain(at, [(-18, -28, -160, r), (-20, -28, 0, r + 0.5), (-22, -30, 82, r + 1.5), (-12, -46, 125, r + 2)])
    left = chain(at, [(-14, -34, -8, 5), (6, -46, -8, 3.6), (24, -32, -8, 4.5), (46, -10, -10, 4)], rounding=1)
    right = chain(at, [(-20, -28, -14, 5), (-42, -12, -18, 4)])
    return unite(2, trunk, left, right)


def portal_system(at: Region, rng: np.random.Generator) -> Array:
    """Return portal, superior mesenteric and splenic vein."""
    confluence = (-10.0, -52.0, -2.0)
    portal = chain(at, [(*confluence, 6.5), (-38, -58, 26, 7)])
    mesenteric = chain(at, [(*confluence, 6), (-6, -64, -40, 5.5), (-4, -70, -110, 4.5)])
    end = (78.0, -24.0, 34.0)
    bend = np.add(confluence, end) / 2 + rng.normal(0, 3, 3) + (0, 4, 0)
    splenic = chain(at, [(*confluence, 5), (*bend, 4.5), (*end, 4)])
    return unite(2, portal, mesenteric, splenic)


def paint_vessels(stage: Stage) -> None:
    """Paint the great vessels through fat, pancreas and muscle; never through the spleen."""
    at = stage.at((-70, -130, -400), (100, 40, 400))
    rng = stage.streams["vessels"]
    free = (*SOFT, Tissue.PANCREAS)
    stage.fill(Tissue.PORTAL_VEIN, portal_system(at, rng), at, free)
    stage.fill(Tissue.CAVA, vena_cava(at, rng), at, (*free, Tissue.LIVER, Tissue.MUSCLE, Tissue.HEART_MUSCLE))
    stage.fill(Tissue.AORTA, aortic_branches(at, rng), at, free)
    stage.fill(Tissue.AORTA, aorta(at, rng), at, (*free, Tissue.MUSCLE, Tissue.LUNG, Tissue.PORTAL_VEIN))
