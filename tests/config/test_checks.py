"""Keys that are missing, and values that are fine alone but impossible together."""

from __future__ import annotations

import pytest

from spleenseg.config import parse_config

from .conftest import SMALL, edited, refused


@pytest.mark.parametrize("key", ["image_width", "image_height", "image_channels", "num_classes"])
def test_a_missing_required_key_is_named(key: str) -> None:
    text = "\n".join(line for line in SMALL.splitlines() if not line.startswith(key))
    assert f"c: [model] {key}: is missing; it must be a whole number" in refused(text)


@pytest.mark.parametrize("key", ["base_filters", "num_layers"])
def test_levels_are_required_of_networks_that_have_them_only(key: str) -> None:
    text = "\n".join(line for line in SMALL.splitlines() if not line.startswith(key))
    assert f"c: [model] {key}: is missing; TensorflowUNet needs it" in refused(text)
    assert parse_config(text + '\nmodel = "TensorflowSharpUNet"', "c").model.model == "TensorflowSharpUNet"


def test_an_empty_file_misses_its_keys() -> None:
    assert "c: [model] image_width: is missing" in refused("")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("width = 64", "width = 66", "[model] image_width (line 2): must be divisible by 4, which is 2^(num_layers-1)"),
        ("width = 64", "width = 66", "is 66; 64 or 68 would do"),
        ("height = 64", "height = 3", "[model] image_height (line 3): must be divisible by 4"),
        ("height = 64", "height = 3", "is 3; 4 would do"),
        ("num_layers = 3", "num_layers = 8", "must be divisible by 128"),
        ("channels = 1", "channels = 2", "[model] image_channels (line 4): must be 1 (grey) or 3 (colour), is 2"),
        ("num_classes = 1", 'num_classes = 1\nfinal_activation = "softmax"', 'must be "sigmoid" when num_classes is 1'),
        ("num_classes = 1", 'num_classes = 3\nfinal_activation = "sigmoid"', 'must be "softmax" when num_classes is 3'),
        ("num_layers = 3", "num_layers = 3\ndropout_rate = 1", "must be a number of at least 0 and below 1, is 1"),
        ("num_layers = 3", "num_layers = 3\ndropout_rate = 0.5", "must be below 0.5, is 0.5"),
        ("num_classes = 1", "num_classes = 0", "must be a whole number from 1 to 256, is 0"),
    ],
)
def test_impossible_combinations_are_refused(old: str, new: str, problem: str) -> None:
    assert problem in refused(edited(old, new))


def test_the_size_rule_holds_for_networks_that_halve_the_image_only() -> None:
    text = edited("width = 64", "width = 66")
    for name in ("UNet", "tensorflowunet", "TensorflowAttentionUNet"):
        assert "divisible" in refused(text + f'model = "{name}"')
    assert parse_config(text + 'model = "TensorflowSwinUNet"', "c").model.image_width == 66


def test_width_and_height_are_kept_apart() -> None:
    config = parse_config(edited("height = 64", "height = 128"), "c")
    assert (config.model.image_width, config.model.image_height) == (64, 128)


def test_neighbouring_slices_fix_the_channels() -> None:
    three = edited("channels = 1", "channels = 3") + "[dataset]\ncontext = 1"
    assert parse_config(three, "c").dataset.context == 1
    assert "must be 3 (1 + 2 x [dataset] context), is 1" in refused(SMALL + "[dataset]\ncontext = 1")


def test_several_classes_mean_softmax_unless_said_otherwise() -> None:
    assert parse_config(SMALL, "c").model.final_activation == "sigmoid"
    assert parse_config(edited("classes = 1", "classes = 3"), "c").model.final_activation == "softmax"


@pytest.mark.parametrize("key", ["organ_removal", "lookalikes"])
def test_what_paints_one_plane_goes_with_one_window_of_one_slice_only(key: str) -> None:
    painting = f'[augmentor]\npolicy = "strong"\n{key} = True\n'
    assert parse_config(SMALL + painting, "c").augmentor.policy == "strong"
    for channels, dataset in ((3, "context = 1"), (2, "windows = [(0, 100), (-160, 240)]")):
        text = edited("channels = 1", f"channels = {channels}") + painting
        problem = refused(text + f"[dataset]\n{dataset}")
        assert f"[augmentor] {key} (line 10): must be False with several [dataset] windows or with context" in problem
        assert parse_config(text.replace("strong", "reference") + f"[dataset]\n{dataset}", "c")


def test_the_organs_contrast_needs_windows_of_one_width() -> None:
    text = edited("channels = 1", "channels = 2") + '[augmentor]\npolicy = "strong"\norgan_contrast = True\n[dataset]\n'
    assert parse_config(text + "windows = [(0, 100), (50, 150)]", "c")
    assert "organ_contrast (line 10): must be False" in refused(text + "windows = [(0, 100), (-160, 240)]")
