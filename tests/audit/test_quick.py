"""The check before a training: seconds, and warnings only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from spleenseg.audit import quick_check
from spleenseg.config import Config, load_config

TEXT = """
[model]
model = "UNet"
image_width = 32
image_height = 32
image_channels = 1
num_classes = 1
base_filters = 2
num_layers = 3
[train]
image_datapath = "train/images"
mask_datapath = "train/masks"
[eval]
image_datapath = "valid/images"
mask_datapath = "valid/masks"
"""


def config_of(folder: Path, slices: dict[str, dict[str, int]], organ: bool = True) -> Config:
    """Write slices (split -> name -> seed of its image) and a config beside them."""
    for split, names in slices.items():
        for name, seed in names.items():
            mask = np.zeros((32, 32), np.uint8)
            mask[8:16, 8:16] = 255 * organ
            pixels = {"images": np.random.default_rng(seed).integers(0, 255, (32, 32), np.uint8), "masks": mask}
            for kind, grey in pixels.items():
                (folder / split / kind).mkdir(parents=True, exist_ok=True)
                Image.fromarray(grey).save(folder / split / kind / name)
    (folder / "a.config").write_text(TEXT)
    return load_config(folder / "a.config")


def test_sound_folders_give_no_warning(tmp_path: Path) -> None:
    assert quick_check(config_of(tmp_path, {"train": {"10001_a.png": 1}, "valid": {"10001_b.png": 2}})) == ()


def test_an_image_in_both_sections_under_another_name_is_named(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"train": {"10001_a.png": 1}, "valid": {"10001_b.png": 1}})
    (line,) = quick_check(config)
    assert "10001_b.png" in line
    assert "[train] and [eval]" in line


def test_masks_that_are_all_empty_are_named(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"train": {"10001_a.png": 1}, "valid": {"10001_b.png": 2}}, organ=False)
    assert [line.split(" of ")[-1] for line in quick_check(config)] == [
        "[train] shows an organ",
        "[eval] shows an organ",
    ]


def test_folders_that_cannot_be_read_are_left_to_the_training(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"train": {"10001_a.png": 1}})
    assert quick_check(config) == ()
