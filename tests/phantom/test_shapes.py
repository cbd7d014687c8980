"""Implicit shapes and the way from the coarse grid to the voxels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spleenseg.phantom.grid import STEP, Frame, Grid, Region
from spleenseg.phantom.shapes import chain, ellipsoid, intersect, noise, rotation, unite, volume_ml

FRAME = Frame(size=80, slices=40, pixel=1.5, step=3.0, corner=(-59.25, -59.25, -58.5))


def everywhere(grid: Grid) -> Region:
    x, y, z = grid.places()
    depth, height, width = grid.shape
    return Region((slice(0, depth), slice(0, height), slice(0, width)), x, y, z)


@settings(max_examples=10, deadline=None)
@given(
    radii=st.tuples(*[st.floats(12, 40)] * 3),
    angle=st.floats(-90, 90),
    centre=st.tuples(*[st.floats(-8, 8)] * 3),
)
def test_an_ellipsoid_has_its_volume_on_nodes_and_on_voxels(
    radii: tuple[float, float, float], angle: float, centre: tuple[float, float, float]
) -> None:
    grid = Grid(FRAME)
    at = everywhere(grid)
    shape = ellipsoid(at, centre, radii, rotation((1, 2, 3), angle))
    exact = 4 / 3 * np.pi * np.prod(radii) / 1000
    assert volume_ml(shape) == pytest.approx(exact, rel=0.04)
    values, _ = grid.to_voxels(*grid.tighten(shape, at.box))
    x, y, z = FRAME.spacing
    assert np.count_nonzero(values > 0) * x * y * z / 1000 == pytest.approx(exact, rel=0.03)


def test_interpolation_keeps_a_plane_where_it_is() -> None:
    grid = Grid(FRAME)
    at = everywhere(grid)
    values, window = grid.to_voxels(0.5 * at.x - at.y + 2 * at.z, at.box)
    assert [w.stop - w.start for w in window] == [40, 80, 80]
    x, y, z = FRAME.axis("x"), FRAME.axis("y")[:, None], FRAME.axis("z")[:, None, None]
    np.testing.assert_allclose(values, 0.5 * x - y + 2 * z, atol=1e-3)


def test_a_shape_outside_the_scan_paints_nothing() -> None:
    grid = Grid(FRAME)
    at = everywhere(grid)
    values, _ = grid.to_voxels(*grid.tighten(np.full(grid.shape, -99, np.float32), at.box))
    assert values.size == 0


def test_rounded_union_and_intersection_differ_from_sharp_ones_at_the_edge_only() -> None:
    a, b = np.float32([0, 5, -20, 3]), np.float32([0, 5, 20, -30])
    assert unite(4, a, b).tolist() == pytest.approx([1, 6, 20, 3])
    assert intersect(4, a, b).tolist() == pytest.approx([-1, 4, -20, -30])


def test_a_chain_is_as_wide_as_its_knots_say() -> None:
    grid = Grid(FRAME)
    at = everywhere(grid)
    shape = chain(at, [(0, 0, -30, 6), (0, 0, 30, 12)])
    node = tuple(int(np.abs(nodes).argmin()) for nodes in grid.nodes)
    assert shape[node] == pytest.approx(9, abs=0.1)  # on the axis, halfway
    assert shape[:, :, 0].max() < -20


@pytest.mark.parametrize("length", [9.0, 20.0, 60.0])
def test_noise_has_deviation_one_and_its_length(length: float) -> None:
    values = noise(np.random.default_rng(0), (90, 90, 90), length)
    assert values.std() == pytest.approx(1, rel=0.25)
    near = round(length / STEP / 3)
    far = round(2.5 * length / STEP)
    flat = values - values.mean()
    assert (flat[:-near] * flat[near:]).mean() > 0.6 * values.var()
    assert abs((flat[:-far] * flat[far:]).mean()) < 0.35 * values.var()
