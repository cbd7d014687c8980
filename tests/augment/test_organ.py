"""Changes of the labelled organ alone: its size and its brightness, and nothing far from it."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spleenseg.augment import geometry as geo
from spleenseg.augment.organ import UNCHANGED, Organ, Swelling
from spleenseg.augment.transform import Transform
from spleenseg.augment.warp import source_map, warp

from .pairs import iou, spleen_like

SIDE = 256


def ellipse(center: tuple[float, float], radii: tuple[float, float], degrees: float = 0.0) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    dx, dy = x - center[0], y - center[1]
    return ((cos * dx + sin * dy) / radii[0]) ** 2 + ((cos * dy - sin * dx) / radii[1]) ** 2 < 1


@settings(max_examples=40, deadline=None)
@given(
    size=st.floats(0.5, 1.5),
    x=st.floats(70, 180),
    y=st.floats(70, 180),
    radii=st.tuples(st.floats(18, 30), st.floats(18, 30)),
    degrees=st.floats(0, 180),
)
def test_an_ellipse_gets_the_size_asked_for_and_stays_where_it_is(
    size: float, x: float, y: float, radii: tuple[float, float], degrees: float
) -> None:
    mask = ellipse((x, y), radii, degrees).astype(np.uint8)
    _, labels = Transform(organ=Organ(size=size)).apply(mask[..., None], mask)
    wanted = ellipse((x, y), (radii[0] * size, radii[1] * size), degrees)
    assert iou(labels > 0, wanted) > 0.85
    assert labels.sum() == pytest.approx(mask.sum() * size**2, rel=0.12)


@pytest.mark.parametrize("size", [0.4, 1.4])
def test_the_image_follows_the_mask_and_nothing_moves_far_away(size: float) -> None:
    mask = spleen_like(SIDE, SIDE)
    picture = np.random.default_rng(0).integers(1, 255, (SIDE, SIDE, 1), dtype=np.uint8)
    organ = np.where(mask[..., None] > 0, np.uint8(255), picture)
    moved, labels = Transform(organ=Organ(size=size)).apply(organ, mask)
    assert (moved[labels > 0] > 200).mean() > 0.9
    right = slice(SIDE // 2 + 40, None)
    np.testing.assert_array_equal(moved[:, right], organ[:, right])


@settings(max_examples=30, deadline=None)
@given(size=st.floats(0.1, 2.0), angle=st.floats(-30, 30), factor=st.floats(0.7, 1.4))
def test_nothing_folds(size: float, angle: float, factor: float) -> None:
    mask = spleen_like(SIDE, SIDE)
    linear = geo.rotation(angle).then(geo.scaling(factor))
    moved = Organ(size=size).moved(linear, mask)
    to_x, to_y = source_map(moved, (SIDE, SIDE))
    (dxx, dxy), (dyx, dyy) = (np.gradient(plane, axis=(1, 0)) for plane in (to_x, to_y))
    assert (dxx * dyy - dxy * dyx).min() > 0


@pytest.mark.parametrize("geometry", [geo.rotation(25), geo.scaling(0.7), geo.shear(0.1, -0.1)])
def test_under_another_map_the_organ_is_resized_about_its_new_place(geometry: geo.Geometry) -> None:
    mask = spleen_like(SIDE, SIDE)
    alone = warp(mask[..., None], mask, geometry)[1]
    small = Transform(geometry=geometry, organ=Organ(size=0.5)).apply(mask[..., None], mask)[1]
    assert small.sum() == pytest.approx(alone.sum() / 4, rel=0.15)
    centers = [np.mean(np.nonzero(labels), axis=1) for labels in (alone, small)]
    assert np.abs(centers[0] - centers[1]).max() < 3


def test_brightness_changes_in_the_organ_and_not_beside_it() -> None:
    mask = spleen_like(SIDE, SIDE)
    image = np.full((SIDE, SIDE, 3), 100, np.uint8)
    image[0, 0], image[128, 76] = 0, 255
    assert mask[128, 76]
    moved, labels = Transform(organ=Organ(shift=20)).apply(image, mask)
    np.testing.assert_array_equal(labels, mask)
    core = cv2.erode(mask, np.ones((9, 9), np.uint8)) > 0
    core[128, 76] = False
    assert (moved[core] == 120).all()
    assert (moved[128, 76] == 255).all()
    assert (moved[:, SIDE // 2 :] == 100).all()


@pytest.mark.parametrize("organ", [UNCHANGED, Organ(size=0.5, shift=30)])
def test_no_change_and_no_organ_change_no_bit(organ: Organ) -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    mask = np.zeros((48, 64), np.uint8)
    mask[10:20, 10:20] = organ == UNCHANGED
    moved, labels = Transform(organ=organ).apply(image, mask)
    np.testing.assert_array_equal(moved, image)
    np.testing.assert_array_equal(labels, mask)


def test_a_single_pixel_and_a_whole_slice_are_organs_too() -> None:
    for mask in (np.eye(1, 64 * 64, 900, np.uint8).reshape(64, 64), np.ones((64, 64), np.uint8)):
        moved, labels = Transform(organ=Organ(size=0.5, shift=10)).apply(mask[..., None] * np.uint8(90), mask)
        assert set(np.unique(labels)) <= {0, 1}
        assert moved.shape == (64, 64, 1)


def test_changes_add_up() -> None:
    assert Organ(0.5, 10).then(Organ(0.5, -5)) == Organ(0.25, 5)
    assert Organ(0.5).moved(geo.IDENTITY, np.zeros((8, 8), np.uint8)) == geo.IDENTITY


def test_the_field_needs_nodes_as_close_as_the_organ_gets_small() -> None:
    mask = ellipse((100, 100), (24, 24)).astype(np.uint8)
    spacings = {size: Swelling.about(mask, size, geo.IDENTITY.linear).spacing for size in (1.0, 0.4, 0.05)}
    assert spacings == {1.0: 4, 0.4: 2, 0.05: 1}
