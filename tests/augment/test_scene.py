"""What is painted about the organ: the organ in front of it, bone and air untouched, and everything replayable."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spleenseg.augment import geometry as geo
from spleenseg.augment.scene import AS_IT_IS, Lookalike, Removal, Scene
from spleenseg.augment.transform import Transform

from .pairs import spleen_like

SIDE = 256
BONE, MUSCLE, ORGAN = 255, 70, 120


def trunk(channels: int = 1) -> np.ndarray:
    """A body of muscle about fat and a spine in black air, with noise; the organ of `spleen_like` in it."""
    y, x = np.mgrid[:SIDE, :SIDE]
    radius = np.hypot((x - 128) / 115, (y - 128) / 95)
    image = np.zeros((SIDE, SIDE), np.float32)
    image[(radius < 1) & (radius > 0.88)] = MUSCLE
    image[spleen_like(SIDE, SIDE) > 0] = ORGAN
    image += np.random.default_rng(0).normal(0, 5, image.shape) * (image > 0)
    image[np.hypot(x - 128, y - 190) < 18] = BONE
    return np.repeat(np.clip(image, 0, 255).astype(np.uint8)[..., None], channels, axis=2)


def changed(seed: int, size: float = 0.08, shift: float = 0.0) -> np.ndarray:
    """Where a lookalike alone changed the trunk."""
    image, mask = trunk(), spleen_like(SIDE, SIDE)
    after, labels = Transform(scene=Scene(lookalikes=(Lookalike(size, shift, seed),))).apply(image, mask)
    np.testing.assert_array_equal(labels, mask)
    return (after != image)[..., 0]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**60), size=st.floats(0.02, 0.2))
def test_a_lookalike_leaves_organ_bone_and_what_is_outside_alone(seed: int, size: float) -> None:
    image, where = trunk()[..., 0], changed(seed, size)
    y, x = np.mgrid[:SIDE, :SIDE]
    assert not (where & (spleen_like(SIDE, SIDE) > 0)).any()
    assert not (where & (image == BONE)).any()
    assert not (where & (np.hypot((x - 128) / 115, (y - 128) / 95) > 1.02)).any()


def test_most_lookalikes_show_lie_beside_the_organ_and_have_its_brightness() -> None:
    image, near = trunk()[..., 0], cv2.dilate(spleen_like(SIDE, SIDE), np.ones((151, 151), np.uint8)) > 0
    shown, tones = 0, []
    for seed in range(60):
        after = Scene(lookalikes=(Lookalike(0.08, 0.0, seed),)).painted(trunk(), spleen_like(SIDE, SIDE))[0][..., 0]
        where = after != image
        shown += where.sum() > 100
        assert not (where & ~near).any()
        if where.any():
            tones.append(np.median(after[where]))
    assert shown > 45
    assert np.median(tones) == pytest.approx(ORGAN, abs=25)


def test_the_shift_makes_it_brighter_than_the_organ() -> None:
    plain, bright = (
        Scene(lookalikes=(Lookalike(0.08, shift, 3),)).painted(trunk(), spleen_like(SIDE, SIDE))[0][..., 0].astype(int)
        for shift in (0.0, 60.0)
    )
    where = plain != bright
    assert where.sum() > 100
    assert (bright - plain)[where].mean() > 30


def test_without_an_organ_they_are_anywhere_in_the_body() -> None:
    centres = []
    for seed in range(40):
        after, _ = Scene(lookalikes=(Lookalike(0.05, 0.0, seed),)).painted(trunk(), np.zeros((SIDE, SIDE), np.uint8))
        places = np.nonzero(after != trunk())[:2]
        if places[0].size:
            centres.append([plane.mean() for plane in places])
    assert len(centres) > 30
    assert np.ptp(centres, axis=0).min() > 80


def test_an_organ_taken_out_leaves_fat_and_no_label() -> None:
    image, mask = trunk(3), spleen_like(SIDE, SIDE)
    after, labels = Transform(scene=Scene(Removal(5))).apply(image, mask)
    assert not labels.any()
    assert after[mask > 0].max() < 30  # fat is black in this picture
    far = cv2.dilate(mask, np.ones((15, 15), np.uint8)) == 0
    np.testing.assert_array_equal(after[far], image[far])
    assert mask.any(), "the source's labels stay as they were"


@pytest.mark.parametrize("scene", [AS_IT_IS, Scene(Removal(1)), Scene(lookalikes=(Lookalike(0.1, 10, 1),))])
def test_no_change_and_nothing_to_change_change_no_bit(scene: Scene) -> None:
    image, mask = np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.uint8)
    if scene is AS_IT_IS:
        mask[10:20, 10:20] = 1
    moved, labels = Transform(scene=scene).apply(image, mask)
    np.testing.assert_array_equal(moved, image)
    np.testing.assert_array_equal(labels, mask)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**60), kind=st.sampled_from([np.uint8, np.float32]), channels=st.sampled_from([1, 3]))
def test_any_picture_keeps_its_shape_type_and_range_and_is_replayed(seed: int, kind: type, channels: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (40, 56, channels)).astype(kind)
    mask = (rng.random((40, 56)) < rng.choice([0.001, 0.3, 1.0])).astype(np.uint8)
    both = Scene(Removal(seed) if seed % 2 else None, (Lookalike(0.2, -20, seed), Lookalike(0.02, 20, seed + 1)))
    before = image.copy()
    one, again = (Transform(geometry=geo.rotation(10), scene=both).apply(image, mask) for _ in range(2))
    np.testing.assert_array_equal(one[0], again[0])
    np.testing.assert_array_equal(image, before)
    assert (one[0].shape, one[0].dtype) == (image.shape, image.dtype)
    assert 0 <= one[0].min() <= one[0].max() <= 255


def test_scenes_add_up() -> None:
    blob, other = Lookalike(0.1, 0, 1), Lookalike(0.2, 0, 2)
    assert Scene(lookalikes=(blob,)).then(Scene(Removal(3), (other,))) == Scene(Removal(3), (blob, other))


def test_on_real_slices_the_body_is_found(real_data: Path) -> None:
    """No blob lies outside of the hull of all that is bright, and most are seen."""
    shown = 0
    for path in sorted((real_data / "msd-spleen-slices" / "images").glob("*.jpg")):
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)[..., None]
        mask = (cv2.imread(str(path.parents[1] / "masks" / path.name), cv2.IMREAD_GRAYSCALE) > 127).astype(np.uint8)
        for seed in range(5):
            after, _ = Scene(lookalikes=(Lookalike(0.06, 0.0, seed),)).painted(image, mask)
            where = (after != image)[..., 0]
            shown += where.sum() > 100
            outline = cv2.convexHull(cv2.findNonZero((image[..., 0] > 60).astype(np.uint8)))
            hull = cv2.fillConvexPoly(np.zeros(mask.shape, np.uint8), outline, 1) > 0
            assert not (where & ~hull).any(), path.name
    assert shown > 60  # of 90
