"""Small image/mask folders, configs that point at them, and tiny cohorts in the MSD layout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from spleenseg.config import Config, load_config
from spleenseg.progress import Silent

SavePairs = Callable[..., tuple[Path, Path]]
MakeConfig = Callable[..., Config]
MakeCohort = Callable[..., Path]

CONFIG = """
[model]
model = "TensorflowUNet"
image_width = 32
image_height = 16
image_channels = 3
num_classes = 1
base_filters = 4
num_layers = 3
[dataset]
stretch = True
color_order = "rgb"
[train]
image_datapath = "data/train/images"
mask_datapath = "data/train/masks"
threads = 2
[eval]
image_datapath = "data/valid/images"
mask_datapath = "data/valid/masks"
[test]
image_datapath = "data/test/images"
mask_datapath = "data/test/masks"
[infer]
images_dir = "data/test/images"
[mask]
blur = True
"""


class Listener(Silent):
    """Keeps what is warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture
def save_pairs(tmp_path: Path) -> SavePairs:
    """Return `save(names, split, image, mask) -> (images, masks)`: PNG (or other) pairs under data/SPLIT."""

    def save(
        names: Sequence[str] = ("10001_anna.png", "10002_bob.png"),
        split: str = "train",
        image: Any = None,
        mask: Any = None,
    ) -> tuple[Path, Path]:
        image = np.full((16, 32, 3), 90, np.uint8) if image is None else np.asarray(image, np.uint8)
        if mask is None:
            mask = np.zeros(image.shape[:2], np.uint8)
            mask[4:9, 10:20] = 255
        folders = tmp_path / "data" / split / "images", tmp_path / "data" / split / "masks"
        for folder, pixels in zip(folders, (image, np.asarray(mask, np.uint8)), strict=True):
            folder.mkdir(parents=True, exist_ok=True)
            for name in names:
                Image.fromarray(pixels).save(folder / name)
        return folders

    return save


@pytest.fixture
def make_config(tmp_path: Path) -> MakeConfig:
    """Return `make(*overrides) -> Config` of a file whose splits lie under data/."""

    def make(*overrides: str) -> Config:
        path = tmp_path / "train_eval_infer.config"
        path.write_text(CONFIG)
        return load_config(path, overrides)

    return make


@pytest.fixture
def make_cohort(tmp_path: Path) -> MakeCohort:
    """Return `make(cases, ...) -> folder`: CT volumes [x=24, y=20, z=6] whose organ lies on the patient's left."""

    def make(
        cases: int = 5, labels: dict[int, str] | None = None, json_too: bool = True, name: str = "Task09_Spleen"
    ) -> Path:
        labels = labels or {1: "spleen"}
        folder = tmp_path / name
        entries = [_write_case(folder, f"spleen_{number}", number, labels) for number in range(cases)]
        if json_too:
            named = {"0": "background"} | {str(value): label for value, label in labels.items()}
            description = {"name": "Spleen", "modality": {"0": "CT"}, "labels": named, "training": entries}
            (folder / "dataset.json").write_text(json.dumps(description | {"test": []}))
        return folder

    return make


def _write_case(folder: Path, case: str, number: int, labels: dict[int, str]) -> dict[str, str]:
    rng = np.random.default_rng(number)
    hu = rng.integers(-300, 400, (24, 20, 6)).astype(np.int16)
    truth = np.zeros(hu.shape, np.uint8)
    for place, value in enumerate(labels):
        truth[16:21, 4 + 6 * place : 9 + 6 * place, 2:4] = value
    affine = np.diag([-0.8, -0.8, 5.0, 1.0])  # stored axes lead to left, posterior, superior
    for kind, array in (("imagesTr", hu), ("labelsTr", truth)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(array, affine), folder / kind / f"{case}.nii.gz")
    return {"image": f"./imagesTr/{case}.nii.gz", "label": f"./labelsTr/{case}.nii.gz"}


_KILLED = """
import os, signal, sys
from spleenseg.datasets.prepare import prepare
from spleenseg.progress import Silent

class Killer(Silent):
    done = 0
    def task(self, title, total):
        return self
    def __enter__(self):
        return self
    def __exit__(self, *_):
        pass
    def advance(self, steps=1, note=""):
        Killer.done += 1
        if Killer.done == 2:
            os.kill(os.getpid(), signal.SIGKILL)

prepare(sys.argv[1], sys.argv[2], layout=sys.argv[3], threads=2, reporter=Killer())
"""


@pytest.fixture
def prepare_until_killed() -> Callable[..., None]:
    """Return `run(source, dataset, layout)`: a process that prepares and is killed at its second step."""
    if os.name != "posix":
        pytest.skip("no SIGKILL on this system")

    def run(source: Path, dataset: Path, layout: str = "slices") -> None:
        killed = subprocess.run([sys.executable, "-c", _KILLED, source, dataset, layout], check=False)
        assert killed.returncode == -signal.SIGKILL

    return run
