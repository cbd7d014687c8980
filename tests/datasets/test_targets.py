from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spleenseg.config import MaskConfig
from spleenseg.datasets.targets import hard_target, labels_of_mask, soft_target, soften
from spleenseg.errors import UserError

small_masks = arrays(np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.integers(0, 1))
sizes = st.sampled_from([(3, 3), (5, 3), (1, 7), (9, 9)])


def disc(radius: float, side: int = 96) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    return ((x - 41.3) ** 2 + (y - 50.2) ** 2 <= radius**2).astype(np.uint8)


@settings(max_examples=150, deadline=None)
@given(small_masks, sizes)
def test_softening_keeps_every_boundary_and_the_area_exactly(labels: np.ndarray, size: tuple[int, int]) -> None:
    soft = soften(labels, MaskConfig(blur=True, blur_size=size))
    assert soft.dtype == np.float32
    assert soft.min() >= 0
    assert soft.max() <= 1
    assert np.array_equal(soft >= 0.5, labels == 1)
    assert soft.sum(dtype=np.float64) == pytest.approx(labels.sum(), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("radius", [0.5, 2, 5, 20, 35])
def test_blurring_and_casting_to_bool_grows_the_organ_but_softening_does_not(radius: float) -> None:
    labels = disc(radius)
    cast = cv2.blur(labels * 255, (3, 3)).astype(bool)  # what the reference trains on
    soft = soften(labels, MaskConfig(blur=True, blur_size=(3, 3)))
    assert cast.sum() > 1.05 * labels.sum()
    assert soft.sum(dtype=np.float64) == pytest.approx(labels.sum(), rel=0.005)
    assert (soft >= 0.5).sum() == labels.sum()


def test_a_straight_edge_gets_the_plain_box_blur() -> None:
    labels = np.zeros((9, 12), np.uint8)
    labels[:, 5:] = 1
    soft = soften(labels, MaskConfig(blur=True, blur_size=(3, 3)))
    assert soft[4] == pytest.approx([0, 0, 0, 0, 1 / 3, 2 / 3, 1, 1, 1, 1, 1, 1], abs=1e-6)


def test_the_filter_is_width_by_height() -> None:
    labels = np.zeros((9, 9), np.uint8)
    labels[:, 4:] = 1
    assert set(np.unique(soften(labels, MaskConfig(blur=True, blur_size=(1, 5))))) == {0, 1}
    assert len(np.unique(soften(labels, MaskConfig(blur=True, blur_size=(5, 1))))) == 6


def test_without_blur_the_target_stays_hard() -> None:
    labels = disc(9)
    assert np.array_equal(soften(labels, MaskConfig(blur=False)), labels.astype(np.float32))


def test_the_threshold_itself_is_organ() -> None:
    grey = np.array([[0, 127, 128, 255]], np.uint8)
    assert labels_of_mask(grey, MaskConfig(), 1).tolist() == [[0, 0, 1, 1]]
    assert labels_of_mask(grey, MaskConfig(threshold=200), 1).tolist() == [[0, 0, 0, 1]]


def test_without_binarising_dim_masks_are_organ_above_zero_and_bright_ones_keep_no_lossy_edge() -> None:
    unbinarised = MaskConfig(binarize=False, threshold=80)
    assert labels_of_mask(np.array([[0, 1, 2]], np.uint8), unbinarised, 1).tolist() == [[0, 1, 1]]
    assert labels_of_mask(np.array([[0, 9, 80, 255]], np.uint8), unbinarised, 1).tolist() == [[0, 0, 1, 1]]


def test_black_is_never_organ() -> None:
    grey = np.array([[0, 1]], np.uint8)
    assert labels_of_mask(grey, MaskConfig(threshold=0), 1).tolist() == [[0, 1]]


@pytest.mark.parametrize("algorithm", ["THRESH_OTSU", "THRESH_TRIANGLE", "cv2.THRESH_OTSU"])
def test_an_automatic_threshold_finds_a_dark_organ(algorithm: str) -> None:
    organ = disc(20)
    noise = np.random.default_rng(0).integers(0, 6, organ.shape)
    grey = (organ * 60 + noise).astype(np.uint8)
    assert not labels_of_mask(grey, MaskConfig(), 1).any()
    assert np.array_equal(labels_of_mask(grey, MaskConfig(algorithm=algorithm), 1), organ)


@pytest.mark.parametrize("algorithm", [None, "THRESH_BINARY", "THRESH_OTSU", "THRESH_TRIANGLE"])
def test_an_empty_mask_stays_empty(algorithm: str | None) -> None:
    assert not labels_of_mask(np.zeros((8, 8), np.uint8), MaskConfig(algorithm=algorithm), 1).any()


def test_with_several_classes_the_values_are_the_labels() -> None:
    grey = np.array([[0, 1, 2]], np.uint8)
    assert labels_of_mask(grey, MaskConfig(), 3).tolist() == [[0, 1, 2]]
    with pytest.raises(UserError, match=r"holds the value 2, but .* knows 0 to 1"):
        labels_of_mask(grey, MaskConfig(), 2)


def test_targets_have_one_channel_for_one_class_and_one_a_label_for_several(make_config) -> None:
    organ = disc(9)
    assert hard_target(organ, 1).shape == (96, 96, 1)
    assert np.array_equal(hard_target(organ, 1)[..., 0], organ)
    assert np.array_equal(soft_target(organ, make_config())[..., 0], soften(organ, MaskConfig(blur=True)))
    labels = np.array([[0, 2, 1]], np.uint8)
    one_hot = soft_target(labels, make_config("model.num_classes=3", 'model.final_activation="softmax"'))
    assert one_hot.tolist() == [[[1, 0, 0], [0, 0, 1], [0, 1, 0]]]
    assert one_hot.dtype == np.float32
