from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from spleenseg.errors import UserError
from spleenseg.render import PALETTE, color, colorize, label_colors, overlay
from spleenseg.render.masks import contours

GREEN = (0, 128, 0)


def disc(size: int = 40, radius: int = 12) -> np.ndarray:
    y, x = np.ogrid[:size, :size]
    return ((y - size // 2) ** 2 + (x - size // 2) ** 2 <= radius**2).astype(np.uint8)


@settings(max_examples=60, deadline=None)
@given(grey=st.integers(0, 255), shade=st.tuples(*[st.integers(0, 255)] * 3), alpha=st.floats(0, 1))
def test_the_fill_blends_between_image_and_colour_and_never_wraps_around(
    grey: int, shade: tuple[int, int, int], alpha: float
) -> None:
    labels = disc()
    image = np.full(labels.shape, grey, np.uint8)
    middle = overlay(image, labels, {1: shade}, "fill", alpha)[20, 20]
    assert np.abs(middle - ((1 - alpha) * grey + alpha * np.array(shade))).max() <= 0.5


def test_a_bright_image_under_a_green_fill_stays_bright_and_greenish() -> None:
    labels = disc()
    shown = overlay(np.full(labels.shape, 250, np.uint8), labels, {1: GREEN}, "fill")
    assert tuple(shown[20, 20]) == (150, 201, 150)  # adding in uint8 would give a purple (250, 122, 250)


def test_the_contour_is_the_outermost_ring_of_the_mask_in_the_full_colour() -> None:
    labels = disc()
    image = np.full(labels.shape, 90, np.uint8)
    shown = overlay(image, labels, {1: (255, 0, 0)}, "contour")
    ring = (labels == 1) & ~ndimage.binary_erosion(labels, ndimage.generate_binary_structure(2, 1))
    assert np.array_equal((shown == (255, 0, 0)).all(-1), ring)
    assert (shown[~ring] == 90).all()


def test_outside_the_labels_the_image_is_untouched_in_every_style() -> None:
    labels, image = disc(), np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    for style in ("off", "contour", "fill"):
        shown = overlay(image, labels, {1: GREEN}, style)
        assert np.array_equal(shown[labels == 0], image[labels == 0])
    assert np.array_equal(overlay(image, labels, {1: GREEN}, "off"), image)


def test_touching_labels_keep_one_line_each_and_a_cut_organ_is_closed_at_the_border() -> None:
    labels = np.zeros((9, 12), np.uint8)
    labels[:, 2:6], labels[:, 6:10] = 1, 2
    edge = contours(labels)
    assert edge[:, 5].all()
    assert edge[:, 6].all()
    assert not edge[1:-1, 3:5].any()
    assert edge[0, 2:10].all()


def test_large_pictures_get_a_thicker_line() -> None:
    labels = np.zeros((1100, 1100), np.uint8)
    labels[100:1000, 100:1000] = 1
    shown = overlay(np.zeros(labels.shape, np.uint8), labels, {1: (255, 255, 255)}, "contour")
    assert shown[500, :500, 0].sum() == 2 * 255


def test_a_single_pixel_is_seen() -> None:
    labels = np.zeros((5, 5), bool)
    labels[2, 2] = True
    assert tuple(overlay(np.zeros((5, 5), np.uint8), labels, {1: GREEN}, "contour")[2, 2]) == GREEN


def test_overlay_gives_back_a_new_array() -> None:
    image = np.zeros((5, 5, 3), np.uint8)
    overlay(image, np.ones((5, 5), np.uint8), {1: GREEN}, "fill")
    assert not image.any()


def test_arguments_that_do_not_fit_are_refused() -> None:
    image, labels = np.zeros((4, 6), np.uint8), np.zeros((4, 6), np.uint8)
    with pytest.raises(ValueError, match="do not fit"):
        overlay(image, labels.T, {}, "fill")
    with pytest.raises(ValueError, match="off, contour, fill"):
        overlay(image, labels, {}, "filled")
    with pytest.raises(ValueError, match="float64"):
        overlay(image / 255, labels, {}, "fill")


def test_colorize_paints_every_label_and_the_rest_as_background() -> None:
    painted = colorize(np.array([[0, 1], [2, 3]], np.uint8), {1: GREEN, 2: (1, 2, 3)}, (9, 9, 9))
    assert painted.tolist() == [[[9, 9, 9], [0, 128, 0]], [[1, 2, 3], [9, 9, 9]]]
    assert painted.dtype == np.uint8


def test_colours_are_known_by_their_names() -> None:
    assert color("green") == GREEN
    assert color("#0f08") == (0, 255, 0)
    with pytest.raises(UserError, match="did you mean 'green'"):
        color("grren")
    with pytest.raises(UserError, match="None"):
        color(None)  # type: ignore[arg-type]


def test_label_colours_begin_with_the_chosen_one_and_go_on_for_ever() -> None:
    shades = label_colors(20, GREEN)
    assert list(shades) == list(range(1, 21))
    assert shades[1] == GREEN
    assert len(set(shades.values())) == len(PALETTE) + 1
    assert label_colors(1) == {1: PALETTE[0]}


def test_the_palette_stays_apart_for_colour_blind_eyes() -> None:
    """Viénot's 1999 projections for protanopia and deuteranopia keep every pair visibly different."""
    linear = (np.array(PALETTE[:5]) / 255) ** 2.2
    for matrix in (
        [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
        [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
    ):
        seen = 255 * np.clip(linear @ np.array(matrix).T, 0, 1) ** (1 / 2.2)
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
        assert apart[~np.eye(len(seen), dtype=bool)].min() > 40


def test_a_real_slice_keeps_its_anatomy_under_the_overlay(real_data: Path) -> None:
    folder = real_data / "msd-spleen-slices"
    path = min((folder / "images").glob("*_spleen_19.jpg"))
    image = np.asarray(Image.open(path).convert("L"))
    labels = np.asarray(Image.open(folder / "masks" / path.name).convert("L")) > 127
    shown = overlay(image, labels, {1: color("green")}, "fill").astype(int)
    inner = labels & ~contours(labels)
    greys = image[inner].astype(int)
    assert np.corrcoef(greys, shown[inner][:, 1])[0, 1] > 0.999
    assert (np.argmax(shown[inner], axis=1) == 1)[greys < 200].mean() > 0.9  # green leads, no purple
