"""Surface figures against the `surface-distance` package, on masks made from seeds.

The figures in `golden_surface.json` were written by that package (version 0.1, from the package index), in an
environment of its own with NumPy, by

    python tests/metrics/test_golden.py

ASSD is the area-weighted mean over both of the package's distance lists together.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).with_name("golden_surface.json")
SHAPES = ((14, 17, 19), (5, 24, 22), (1, 20, 21), (20, 9, 11), (16, 16, 16))
SPACINGS = ((1.0, 1.0, 1.0), (0.7, 0.7, 5.0), (0.5703125, 0.5703125, 5.0), (2.3, 0.9, 1.1), (0.4, 0.8, 0.4))
KINDS = ("blobs", "shells", "ellipsoids", "voxels", "noise")


def smoothed(inside: np.ndarray) -> np.ndarray:
    """Let every voxel take the majority of its 3x3x3 neighbours (whole numbers: the same on every machine)."""
    padded = np.pad(inside.astype(int), 1)
    for axis in range(3):
        padded = padded + np.roll(padded, 1, axis) + np.roll(padded, -1, axis)
    return padded[1:-1, 1:-1, 1:-1] * 2 > 27


def ellipsoid(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    places = np.ogrid[tuple(slice(0, length) for length in shape)]
    centre = [int(rng.integers(length // 4, length - length // 4)) for length in shape]
    radii = [int(rng.integers(1, max(2, length // 2))) for length in shape]
    product = int(np.prod(radii)) ** 2
    terms = [
        (place - middle) ** 2 * (product // radius**2)
        for place, middle, radius in zip(places, centre, radii, strict=True)
    ]
    return sum(terms) <= product


def mask(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if kind == "blobs":
        return smoothed(smoothed(rng.random(shape) < 0.52))
    if kind == "shells":
        return ellipsoid(shape, rng) ^ ellipsoid(shape, rng)
    if kind == "ellipsoids":
        return ellipsoid(shape, rng)
    if kind == "noise":
        return rng.random(shape) < rng.choice([0.1, 0.5, 0.9])
    single = np.zeros(shape, bool)
    single[tuple(rng.integers(0, shape))] = True
    return single


def recipes() -> list[tuple[str, np.ndarray, np.ndarray, tuple[float, float, float]]]:
    """Return (name, truth, prediction, spacing (x, y, z)): all combinations in which neither mask is empty."""
    made = []
    for seed, (shape, spacing) in enumerate(zip(SHAPES, SPACINGS, strict=True)):
        for kind in KINDS:
            rng = np.random.default_rng([seed, KINDS.index(kind)])
            truth = mask(kind, shape, rng)
            pred = mask(kind if seed % 2 else "ellipsoids", shape, rng)
            if truth.any() and pred.any():
                made.append((f"{kind} {seed}", truth, pred, spacing))
    return made


def write_golden() -> None:
    """Measure every recipe with `surface-distance` and write the figures beside this file."""
    import surface_distance as peer

    figures = {}
    for name, truth, pred, (x, y, z) in recipes():
        measured = peer.compute_surface_distances(truth, pred, (z, y, x))
        distances = np.concatenate([measured["distances_gt_to_pred"], measured["distances_pred_to_gt"]])
        areas = np.concatenate([measured["surfel_areas_gt"], measured["surfel_areas_pred"]])
        figures[name] = {
            "hd_mm": float(peer.compute_robust_hausdorff(measured, 100)),
            "hd95_mm": float(peer.compute_robust_hausdorff(measured, 95)),
            "assd_mm": float((distances * areas).sum() / areas.sum()),
            "nsd_2mm": float(peer.compute_surface_dice_at_tolerance(measured, 2.0)),
            "area_mm2": float(measured["surfel_areas_gt"].sum()),
        }
    GOLDEN.write_text(json.dumps(figures, indent=1) + "\n")


def test_surface_figures_equal_those_of_surface_distance() -> None:
    from spleenseg.metrics import case_metrics, surface_distances

    golden = json.loads(GOLDEN.read_text())
    made = recipes()
    assert [name for name, *_ in made] == list(golden)
    assert len(golden) >= 20
    for name, truth, pred, spacing in made:
        figures = case_metrics(truth, pred, spacing)
        for field in ("hd_mm", "hd95_mm", "assd_mm", "nsd_2mm"):
            expected = golden[name][field]
            difference = abs(getattr(figures, field) - expected)
            assert difference <= max(1e-4, 1e-5 * expected), (name, field)
        measured = surface_distances(truth, pred, spacing)
        assert measured is not None
        assert abs(measured.truth_mm2.sum() / golden[name]["area_mm2"] - 1) < 1e-9


if __name__ == "__main__":
    write_golden()
