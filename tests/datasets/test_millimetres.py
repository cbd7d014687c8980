from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spleenseg.config import load_config
from spleenseg.datasets.check import check_sections, read_section
from spleenseg.datasets.fit import fit_mask, fit_size
from spleenseg.datasets.manifest import read_manifest
from spleenseg.datasets.millimetres import (
    certain_background,
    grey_on_grid,
    labels_on_grid,
    probabilities_on_slice,
    step_of,
    weights,
)
from spleenseg.datasets.prepare import prepare
from spleenseg.datasets.slices import SliceSet
from spleenseg.errors import UserError
from spleenseg.phantom import write_cohort

SIDES = st.integers(1, 60)


def wave(size: tuple[int, int], spacing: tuple[float, float]) -> np.ndarray:
    """Return a smooth picture [H, W] that depends on the place in mm from its centre only."""
    y, x = (
        (np.arange(length) - (length - 1) / 2) * mm for length, mm in zip(size, (spacing[1], spacing[0]), strict=True)
    )
    grey = 127 + 60 * np.sin(y[:, None] / 9) + 60 * np.cos(x / 7)
    return np.rint(grey).astype(np.uint8)


@settings(max_examples=60)
@given(SIDES, SIDES, st.floats(0.1, 8))
def test_every_pixel_of_the_result_is_a_mean_of_pixels_or_lies_outside(length, result, step):
    shares = weights(length, result, step)
    places = (length - 1) / 2 + (np.arange(result) - (result - 1) / 2) * step
    inside = (places >= -0.5) & (places <= length - 0.5)
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), inside, atol=1e-12)


@settings(max_examples=30)
@given(SIDES, SIDES, st.floats(0.1, 8))
def test_left_and_right_are_treated_alike(length, result, step):
    np.testing.assert_allclose(weights(length, result, step)[::-1, ::-1], weights(length, result, step), atol=1e-9)


def test_pixels_of_the_right_size_are_only_cut_or_surrounded():
    image = np.random.default_rng(0).integers(0, 256, (20, 30)).astype(np.uint8)
    np.testing.assert_array_equal(grey_on_grid(image, (10, 20), (1.0, 1.0)), image[5:15, 5:25])
    np.testing.assert_array_equal(grey_on_grid(image, (24, 36), (1.0, 1.0)), np.pad(image, ((2, 2), (3, 3))))
    np.testing.assert_array_equal(labels_on_grid(image, (24, 36), (1.0, 1.0)), np.pad(image, ((2, 2), (3, 3))))


@pytest.mark.parametrize("spacing", [(0.6, 0.9), (1.3, 1.3), (2.0, 1.1)])
def test_what_a_network_sees_depends_on_millimetres_not_on_the_pixels_of_the_scan(spacing):
    size = (int(120 / spacing[1]), int(120 / spacing[0]))
    seen = grey_on_grid(wave(size, spacing), (60, 64), step_of(1.5, spacing)).astype(int)
    assert np.abs(seen - wave((60, 64), (1.5, 1.5))).max() <= 6


def test_finer_detail_than_the_grid_holds_becomes_its_mean():
    stripes = np.tile(np.array([0, 240], np.uint8), (64, 32))
    seen = grey_on_grid(stripes, (16, 16), (4.0, 4.0))
    assert set(np.unique(seen[2:-2, 2:-2])) == {120}


def test_channels_are_brought_over_one_by_one():
    colours = np.random.default_rng(1).integers(0, 256, (17, 23, 3)).astype(np.uint8)
    seen = grey_on_grid(colours, (12, 11), (1.7, 1.4))
    for channel in range(3):
        np.testing.assert_array_equal(seen[..., channel], grey_on_grid(colours[..., channel], (12, 11), (1.7, 1.4)))


@pytest.mark.parametrize("channels", [1, 3])
def test_beyond_the_grid_is_background_for_sure(channels):
    found = np.full((8, 8, channels), 1 / channels, np.float32)
    back = probabilities_on_slice(found, (20, 16), (1.0, 1.0))
    np.testing.assert_allclose(back[6:14, 4:12], 1 / channels, rtol=1e-6)
    outside = back.copy()
    outside[6:14, 4:12] = certain_background(channels)
    np.testing.assert_array_equal(outside, np.broadcast_to(certain_background(channels), back.shape))


def test_there_and_back_a_disc_keeps_its_place_and_size():
    disc = cv2.circle(np.zeros((200, 180), np.uint8), (70, 110), 40, 1, -1)
    step = step_of(1.5, (0.7, 0.8))
    found = labels_on_grid(disc, (120, 96), step).astype(np.float32)[..., None]
    back = probabilities_on_slice(found, disc.shape, step)[..., 0] >= 0.5
    assert 2 * (back & (disc > 0)).sum() / (back.sum() + disc.sum()) > 0.98


def test_nobody_guesses_the_size_of_a_pixel():
    with pytest.raises(UserError, match=r"a\.png has no known pixel size.*1\.5 mm"):
        step_of(1.5, None, "image a.png")
    assert step_of(None, None) is None
    assert step_of(1.3, (1.3, 2.6)) == (0.5, 1.0)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    write_cohort(folder, 3, 5, size=32)
    return folder


def config_of(dataset: Path) -> Path:
    path = dataset / "train_eval_infer.config"
    path.write_text(
        "[model]\nimage_width = 24\nimage_height = 20\nimage_channels = 1\nnum_classes = 1\n"
        "num_layers = 3\nbase_filters = 2\n"
        f"[train]\nimage_datapath = '{dataset / 'train/images'}'\nmask_datapath = '{dataset / 'train/masks'}'\n"
        f"[eval]\nimage_datapath = '{dataset / 'valid/images'}'\nmask_datapath = '{dataset / 'valid/masks'}'\n"
    )
    return path


@pytest.mark.parametrize("layout", ["slices", "volumes"])
def test_training_sees_the_pixels_that_prepare_was_asked_for(cohort, tmp_path, layout):
    written = prepare(cohort, tmp_path / "d", layout=layout, pixel_mm=9.0)
    assert written.pixel_mm == read_manifest(tmp_path / "d" / "manifest.json").pixel_mm == 9.0
    config = load_config(config_of(tmp_path / "d"))
    check_sections(config, ["train", "eval"])  # 32x32 pixels on a grid of 24x20: nothing is stretched
    slices = SliceSet.from_config(config, "train")
    assert slices.expectation.pixel_mm == 9.0
    index = max(range(len(slices)), key=lambda one: int(slices.native_labels(one).sum()))
    spacing = written.cases[slices.files[index].case].spacing
    step = slices.step(index)
    assert step == pytest.approx((9 / spacing[1], 9 / spacing[0]))
    shown = slices.native_image(index)
    grey = shown if shown.ndim == 2 else np.ascontiguousarray(shown[..., 0])
    np.testing.assert_array_equal(slices.image(index)[..., 0], fit_size(grey, config, step))
    np.testing.assert_array_equal(slices.labels(index), fit_mask(slices.native_labels(index), config, step))


def test_datasets_of_other_pixels_do_not_go_together(cohort, tmp_path):
    for name, pixel_mm in (("a", 9.0), ("b", None)):
        prepare(cohort, tmp_path / name, pixel_mm=pixel_mm)
    text = config_of(tmp_path / "a").read_text().replace(str(tmp_path / "a/valid"), str(tmp_path / "b/valid"))
    (tmp_path / "a" / "train_eval_infer.config").write_text(text + "[dataset]\nstretch = True\n")
    with pytest.raises(UserError, match="pixels of 9 mm"):
        check_sections(load_config(tmp_path / "a" / "train_eval_infer.config"), ["train", "eval"])


def test_a_picture_of_a_case_that_the_manifest_does_not_know_is_refused(cohort, tmp_path):
    prepare(cohort, tmp_path / "d", pixel_mm=9.0)
    section = read_section(load_config(config_of(tmp_path / "d")), "train")
    with pytest.raises(UserError, match="no known pixel size"):
        section.step(replace(section.files[0], case="somebody"), 9.0)


@pytest.mark.parametrize(("pixel_mm", "layout"), [(0.0, "slices"), (float("nan"), "slices"), (1.5, "nnunet")])
def test_impossible_requests_are_refused_before_anything_is_read(cohort, tmp_path, pixel_mm, layout):
    with pytest.raises(UserError, match="pixel"):
        prepare(cohort, tmp_path / "Dataset009_Spleen", pixel_mm=pixel_mm, layout=layout)
    assert not (tmp_path / "Dataset009_Spleen").exists()


def test_a_resumed_preparation_must_ask_for_the_same_pixels(cohort, tmp_path):
    prepare(cohort, tmp_path / "d", pixel_mm=9.0)
    with pytest.raises(UserError, match=r"pixel_mm was 9\.0, is None"):
        prepare(cohort, tmp_path / "d", resume=True)
