"""A small project as the reference's users lay it out: folders of slices by patient, one config."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CONFIG = """\
[model]
model          = "TensorflowUNet"
image_width    = 32
image_height   = 32
image_channels = 1
num_classes    = 1
base_filters   = 4
num_layers     = 2
learning_rate  = 0.01
dropout_rate   = 0.1
loss           = "bce_dice_loss"
metrics        = ["binary_accuracy"]
generator      = True
[train]
epochs          = 2
batch_size      = 2
steps_per_epoch = 3
metrics         = ["binary_accuracy", "val_binary_accuracy"]
image_datapath  = "./data/train/images"
mask_datapath   = "./data/train/masks"
save_weights_only = True
[eval]
image_datapath = "./data/valid/images"
mask_datapath  = "./data/valid/masks"
[generator]
augmentation = True
debug        = False
[augmentor]
rotation    = True
angles      = [10, 350]
deformation = True
"""

Project = Callable[..., Path]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Make a project of one patient a split (or the patients given) and return its config."""

    def make(train: str = "a", valid: str = "b", extra: str = "") -> Path:
        root = tmp_path / "project"
        for split, patient in (("train", train), ("valid", valid)):
            write_slices(root / "data" / split, patient, count=4)
        config = root / "train_eval_infer.config"
        config.write_text(CONFIG + extra, encoding="utf-8")
        return config

    return make


def write_slices(folder: Path, patient: str, count: int) -> None:
    """Write slices with a bright disc, the organ, among noise."""
    rng = np.random.default_rng(count)
    y, x = np.mgrid[:32, :32]
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for z in range(count):
        disc = (y - 12 - z) ** 2 + (x - 14) ** 2 < 36
        image = np.where(disc, 180, 60) + rng.integers(-30, 30, (32, 32))
        Image.fromarray(image.astype(np.uint8)).save(folder / "images" / f"{10000 + z}_{patient}.png")
        Image.fromarray((disc * 255).astype(np.uint8)).save(folder / "masks" / f"{10000 + z}_{patient}.png")
