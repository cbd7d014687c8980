"""Liver with its vessels, and gallbladder."""

from __future__ import annotations

import numpy as np

from spleenseg.phantom.grid import Array, Region
from spleenseg.phantom.shapes import chain, ellipsoid, intersect, noise, rotation, unite, volume_ml
from spleenseg.phantom.stage import Placed, Stage
from spleenseg.phantom.tissues import Tissue
from spleenseg.phantom.traits import Traits


def build_liver(at: Region, limits: tuple[Array, ...], traits: Traits, rng: np.random.Generator) -> Array:
    """Shape the liver: all of the right upper abdomen up to an oblique, wavy lower face; left lobe in front.

    Args:
        at: the box.
        limits: shapes it stays inside of.
        traits: the patient; `traits.liver` is the volume in mL.
        rng: where the shape is drawn from.
    """
    edge = -14 - 0.52 * (at.y + 22) + rng.uniform(1.0, 1.45) * (at.z - 42)
    face = (edge - at.x) * np.float32(0.68)
    size = (traits.liver / 1550) ** (1 / 3)
    reach = rng.normal(0, 14)  # of the left lobe
    lobe = ellipsoid(
        at,
        (14 + reach, -104, 48),
        (size * (68 + 0.5 * reach), size * (28 + rng.normal(0, 4)), size * 40),
        rotation((0, 1, 0), 14),
    )
    waves = 5 * noise(rng, at.x.shape, 60) + 2 * noise(rng, at.x.shape, 26)
    face, lobe = (face + waves).astype(np.float32), lobe + 0.6 * waves
    low, high = -90.0, 90.0
    room = intersect(9, *limits)
    shape = face
    for _ in range(11):
        middle = (low + high) / 2
        shape = intersect(9, unite(26, face + np.float32(middle), lobe), room)
        low, high = (middle, high) if volume_ml(shape) < traits.liver else (low, middle)
    return shape


def build_gallbladder(at: Region, rng: np.random.Generator) -> Array:
    """Return the gallbladder under the right lobe."""
    x, y, z = -58 + rng.normal(0, 6), -88 + rng.normal(0, 6), -8 + rng.normal(0, 6)
    size = rng.uniform(0.6, 1.15)
    return chain(at, [(x + 12, y + 25, z + 14, 5), (x + 4, y + 8, z + 2, 10 * size), (x, y - 12, z - 12, 14 * size)])


def hepatic_veins(at: Region, rng: np.random.Generator) -> Array:
    """Return three veins that join the vena cava under the diaphragm."""
    root = (-21.0, -27.0, 82.0)
    ends = [(-98, -40, 45), (-62, -105, 52), (12, -108, 62)]
    return _tree(at, root, 7.0, ends, rng)


def portal_branches(at: Region, rng: np.random.Generator) -> Array:
    """Return the portal vein's branches in the liver."""
    root = (-38.0, -58.0, 26.0)
    ends = [(-100, -85, 22), (-92, -25, 18), (-70, -75, 66), (10, -100, 48)]
    return _tree(at, root, 7.5, ends, rng)


def _tree(
    at: Region,
    root: tuple[float, float, float],
    radius: float,
    ends: list[tuple[int, int, int]],
    rng: np.random.Generator,
) -> Array:
    """Return branches from a root to ends, each with a bend and two twigs."""
    parts = []
    for end in ends:
        tip = np.asarray(end) + rng.normal(0, 9, 3)
        bend = (np.asarray(root) + tip) / 2 + rng.normal(0, 7, 3)
        parts.append(chain(at, [(*root, radius), (*bend, 0.62 * radius), (*tip, 2.2)], rounding=2))
        for _ in range(2):
            twig = bend + (tip - bend) * 0.5 + rng.normal(0, 24, 3)
            parts.append(chain(at, [(*bend, 0.5 * radius), (*twig, 1.8)]))
    return unite(2, *parts)


def fissure(at: Region, rng: np.random.Generator) -> Array:
    """Return the fat of the falciform ligament's fissure in the lower left lobe."""
    x = 2 + rng.normal(0, 5)
    return ellipsoid(at, (x, -112, 22 + rng.normal(0, 6)), (2.8, 17, 17))


def paint_liver(stage: Stage, neighbours: list[Placed], stomach: Placed) -> Placed:
    """Paint liver, gallbladder and the liver's vessels; return the liver.

    Args:
        stage: the patient.
        neighbours: organs the liver may touch and not enter.
        stomach: the stomach before its neighbours press on it; the liver dents it.
    """
    at = stage.at((-170, -200, -150), (140, 70, 140))
    rng, gap = stage.streams["liver"], 0.5 + 3 * stage.traits.visceral
    limits = [stage.trunk.abdomen[at.box] + 0.6, 5 - stage.on(stomach, at)]
    limits += [-stage.on(other, at) - gap for other in neighbours]
    limits += [np.hypot(at.x, at.y) - 34, np.hypot(at.x - 10, at.y + 32) - 14]  # spine and aorta
    shape = build_liver(at, tuple(limits), stage.traits, rng)
    stage.fill(Tissue.LIVER, shape, at)
    if rng.random() < 0.6:
        stage.fill(Tissue.VISCERAL_FAT, fissure(at, rng), at, [Tissue.LIVER])
    stage.fill(Tissue.CAVA, np.minimum(hepatic_veins(at, rng), shape - 3), at, [Tissue.LIVER])
    stage.fill(Tissue.PORTAL_VEIN, np.minimum(portal_branches(at, rng), shape - 3), at, [Tissue.LIVER])
    bladder = np.minimum(build_gallbladder(at, rng), stage.trunk.abdomen[at.box] - 3)
    soft = [Tissue.LIVER, Tissue.VISCERAL_FAT]
    stage.fill(Tissue.GUT_WALL, bladder + 1.5, at, soft)
    stage.fill(Tissue.FLUID, bladder, at, [Tissue.GUT_WALL])
    return Placed(unite(1, shape, bladder + 1.5), at.box)
