"""Images of other proportions than the model's: refused before training, stretched only on request."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spleenseg.config import load_config
from spleenseg.datasets.check import check_sections
from spleenseg.errors import UserError

CONFIG = """\
[model]
image_width = 32
image_height = 32
image_channels = 1
num_classes = 1
base_filters = 4
num_layers = 2
[dataset]
stretch = {stretch}
[train]
image_datapath = "images"
mask_datapath = "masks"
"""


def project(folder: Path, stretch: bool, width: int) -> Path:
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
        Image.fromarray(np.full((40, width), 255, np.uint8)).save(folder / kind / "10000_a.png")
    path = folder / "c.config"
    path.write_text(CONFIG.format(stretch=stretch))
    return path


def test_an_image_that_is_not_square_is_refused_by_a_square_model(tmp_path: Path) -> None:
    config = load_config(project(tmp_path, stretch=False, width=64))
    with pytest.raises(UserError, match=r"image .*10000_a.png is 64x40 pixels, .* 32x32 would stretch"):
        check_sections(config, ["train"])


@pytest.mark.parametrize(("stretch", "width"), [(True, 64), (False, 40)])
def test_it_is_taken_on_request_and_another_square_always(tmp_path: Path, stretch: bool, width: int) -> None:
    check_sections(load_config(project(tmp_path, stretch, width)), ["train"])
