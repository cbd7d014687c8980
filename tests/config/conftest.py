"""A config with the reference's sections and values, written for these tests, and ways to vary it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from spleenseg.config import Config, load_config, parse_config
from spleenseg.errors import UserError

SPLEEN = """\
; A U-Net for the spleen with the values the reference publishes.
[model]
model = "TensorflowUNet"
generator = True
image_width = 512
image_height = 512
image_channels = 3
num_classes = 1
base_filters = 16
base_kernels = (5,5)
num_layers = 7
dropout_rate = 0.05
learning_rate = 0.0001
clipvalue = 0.5
dilation = (2,2)
loss = "bce_dice_loss"
metrics = ["binary_accuracy"]
show_summary = False
[dataset]
datasetclass = "ImageMaskDataset"
color_order = "bgr"
[train]
epochs = 100
batch_size = 4
steps_per_epoch = 200
validation_steps = 100
patience = 10
metrics = ["binary_accuracy", "val_binary_accuracy"]
model_dir = "./models"
eval_dir = "./eval"
image_datapath = "../../../dataset/Spleen/train/images/"
mask_datapath = "../../../dataset/Spleen/train/masks/"
create_backup = False
learning_rate_reducer = True
reducer_patience = 4
save_weights_only = True
[eval]
image_datapath = "../../../dataset/Spleen/valid/images/"
mask_datapath = "../../../dataset/Spleen/valid/masks/"
[test]
image_datapath = "../../../dataset/Spleen/test/images/"
mask_datapath = "../../../dataset/Spleen/test/masks/"
[infer]
images_dir = "./mini_test/images/"
output_dir = "./mini_test_output"
merged_dir = "./mini_test_output_merged"
[segmentation]
colorize = True
black = "black"
white = "green"
blursize = None
[mask]
blur = True
blur_size = (3,3)
binarize = True
threshold = 128
[generator]
debug = True
augmentation = True
[augmentor]
vflip = False
hflip = True
rotation = True
angles = [5,10,350,355]
shrinks = [0.8]
shears = [0.1]
deformation = True
distortion = True
[deformation]
alpah = 1300
sigmoid = 8
[distortion]
gaussian_filter_rsigma = 40
gaussian_filter_sigma = 0.5
distortions = [0.03,]
"""

SMALL = """\
[model]
image_width = 64
image_height = 64
image_channels = 1
num_classes = 1
base_filters = 4
num_layers = 3
"""


def line_of(text: str, key: str) -> int:
    """Return the number of the line that sets `key` first."""
    return next(n for n, line in enumerate(text.splitlines(), start=1) if line.startswith(f"{key} "))


Load = Callable[..., Config]


def refusal(load: Load, *lines: str, overrides: tuple[str, ...] = (), strict: bool = False) -> str:
    with pytest.raises(UserError) as caught:
        load(*lines, overrides=overrides, strict=strict)
    return str(caught.value)


def edited(old: str, new: str) -> str:
    assert old in SMALL
    return SMALL.replace(old, new)


def refused(text: str, overrides: tuple[str, ...] = ()) -> str:
    with pytest.raises(UserError) as caught:
        parse_config(text, "c", overrides)
    return str(caught.value)


@pytest.fixture
def spleen(tmp_path: Path) -> Path:
    """A file with the reference's values."""
    path = tmp_path / "projects" / "UNet" / "Spleen" / "train_eval_infer.config"
    path.parent.mkdir(parents=True)
    path.write_text(SPLEEN, encoding="utf-8")
    return path


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load the smallest valid config with lines added to it; the file is called `c` and lies here."""
    monkeypatch.chdir(tmp_path)

    def load_with(*lines: str, overrides: tuple[str, ...] = (), strict: bool = False) -> Config:
        Path("c").write_text(SMALL + "\n".join(lines), encoding="utf-8")
        return load_config("c", overrides, strict)

    return load_with
