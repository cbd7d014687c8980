"""The spleen: a crescent between diaphragm, stomach and left kidney, of exactly the volume that was drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spleenseg.phantom.grid import Array, Region
from spleenseg.phantom.shapes import ellipsoid, intersect, noise, unite, volume_ml
from spleenseg.phantom.stage import OUTSIDE, SOFT, Placed, Stage
from spleenseg.phantom.tissues import Tissue
from spleenseg.phantom.traits import Traits

_AVERAGE_ML = 230.0


def build_spleen(
    at: Region, abdomen: Array, kidney: Array, stomach: Array, traits: Traits, rng: np.random.Generator
) -> Array:
    """Shape the spleen.

    An ellipsoid along the tenth rib, dented and lobed, is grown until what is left of it after diaphragm,
    kidney and stomach have pressed on it has the intended volume.

    Args:
        at: the box, on the patient's left.
        abdomen: the cavity below the diaphragm, in the box.
        kidney: the left kidney, in the box.
        stomach: the stomach before the spleen presses on it, in the box.
        traits: the patient; `traits.spleen` is the volume in mL.
        rng: where the shape is drawn from.
    """
    scale = (traits.spleen / _AVERAGE_ML) ** (1 / 3)
    centre, turn = _place(scale, traits, rng)
    elongation = np.exp(rng.normal(0, 0.12))
    radii = (63 * scale * elongation, 42 * scale / np.sqrt(elongation), 33 * scale)
    blob = ellipsoid(at, centre, radii, turn)
    blob += 3.0 * noise(rng, at.x.shape, 42) + 1.6 * noise(rng, at.x.shape, 20)
    gap = 0.6 + 5 * max(0.0, traits.visceral - 0.35)
    beside_kidney = -kidney - gap
    beside_stomach = -stomach - 1.0 + 22 * max(0.0, scale - 1.25)
    limits = (abdomen + 0.6, beside_kidney, beside_stomach, *_bounds(at, scale, traits, rng))
    hilum = _hilum(at, centre, turn, scale, rng)
    return _grown(blob, hilum, limits, traits.spleen)


def _place(scale: float, traits: Traits, rng: np.random.Generator) -> tuple[tuple[float, float, float], np.ndarray]:
    """Return the centre, and the directions of length, width and thickness (outward) as rows."""
    angle = np.deg2rad(rng.normal(66, 7))  # about the cavity, from the back
    fall = np.deg2rad(np.clip(rng.normal(42, 13), 8, 80))  # of the long axis, forward and down
    outward = np.array([np.sin(angle), np.cos(angle), 0.0])
    forward = np.array([np.cos(angle), -np.sin(angle), 0.0])
    long = np.cos(fall) * forward + np.sin(fall) * np.array([0, 0, -1.0])
    wide = np.cross(long, outward)
    growth = scale - 1
    top = traits.dome / traits.build
    x, y = 104 * outward[0], -50 + 82 * outward[1]
    centre = (
        float(x - 14 * max(0, growth)),
        float(y - 22 * max(0, growth)),
        float(top - 50 - 46 * max(0, growth) + 12 * max(0, -growth) + rng.normal(0, 5)),
    )
    return centre, np.stack([long, wide, outward])


def _bounds(at: Region, scale: float, traits: Traits, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return where even a large spleen does not grow: behind the kidney to the spine, and over the stomach."""
    top = traits.dome / traits.build
    behind = 0.78 * (at.x - 56 - 0.8 * (at.y + 10) + 0.4 * np.maximum(at.z - 42, 0) + 5 * max(0.0, scale - 1))
    over = 0.75 * (at.x - 44 - 0.85 * (at.z - (top - 34)))
    waves = 4 * noise(rng, at.x.shape, 34)
    return behind + waves, over + waves


def _hilum(
    at: Region, centre: tuple[float, float, float], turn: np.ndarray, scale: float, rng: np.random.Generator
) -> Array:
    """Return the dent of the inner face where the vessels enter, and one or two notches of the upper border."""
    inward = np.subtract(centre, turn[2] * 30 * scale)
    dent = ellipsoid(at, _point(inward), (24 * scale, 9 * scale, 10 * scale), turn)
    place = np.add(centre, turn[0] * rng.uniform(5, 35) * scale + turn[1] * rng.choice((-1, 1)) * 40 * scale)
    notch = ellipsoid(at, _point(place), (2.6, 13, 30), turn)
    return unite(3, dent, notch) if rng.random() < 0.45 else dent


def _point(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in values)
    return x, y, z


def _grown(blob: Array, dent: Array, limits: tuple[Array, ...], target: float) -> Array:
    """Grow the blob, within its limits, to the intended volume (bisection on the mm it is grown by)."""
    low, high = -40.0, 90.0
    room = intersect(7, *limits, -dent)
    shape = blob
    for _ in range(14):
        middle = (low + high) / 2
        shape = intersect(7, blob + np.float32(middle), room)
        low, high = (middle, high) if volume_ml(shape) < target else (low, middle)
    return shape


def accessory_spleens(at: Region, count: int, spleen: Array, traits: Traits, rng: np.random.Generator) -> Array:
    """Return accessory spleens: balls of 4 to 9 mm radius near the hilum."""
    shapes = [np.full_like(at.x, -99)]
    top = traits.dome / traits.build
    for _ in range(count):
        centre = (rng.uniform(62, 82), rng.uniform(-50, -15), top - rng.uniform(45, 95))
        shapes.append(ellipsoid(at, centre, (float(rng.uniform(4, 9)),) * 3))
    return intersect(1, unite(1, *shapes), -spleen - 3)


def paint_spleen(stage: Stage, at: Region, stomach: Array, kidney: Placed) -> tuple[Placed, NDArray[np.uint8]]:
    """Paint the spleen and accessory spleens.

    Returns:
        The spleen (with accessory ones) as a shape, and the label map uint8 [z, y, x]: 1 in the spleen itself.
        Accessory spleens are not labelled, as in the public data sets.
    """
    labels = np.zeros_like(stage.canvas.tissue)
    traits, abdomen = stage.traits, stage.trunk.abdomen[at.box]
    shape = np.full_like(at.x, OUTSIDE)
    if traits.spleen:
        shape = build_spleen(at, abdomen, stage.on(kidney, at), stomach, traits, stage.streams["spleen"])
        mask, window = stage.fill(Tissue.SPLEEN, shape, at)
        labels[window][mask] = 1
    balls = accessory_spleens(at, traits.accessory, shape, traits, stage.streams["accessory spleens"])
    balls = np.minimum(balls, abdomen - 2)
    stage.fill(Tissue.SPLEEN, balls, at, SOFT)
    return Placed(np.maximum(shape, balls), at.box), labels
