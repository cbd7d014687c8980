"""Everything a user can get wrong ends in one line on standard error and exit status 2, from the outside."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from spleenseg.cli.app import run

CONFIG = """\
[model]
model = "TensorflowUNet"
image_width = 32
image_height = 32
image_channels = 1
num_classes = 1
base_filters = 4
num_layers = 2
[train]
epochs = 1
steps_per_epoch = 1
image_datapath = "train/images"
mask_datapath = "train/masks"
[eval]
image_datapath = "valid/images"
mask_datapath = "valid/masks"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that would train."""
    rng = np.random.default_rng(0)
    for split in ("train", "valid"):
        for kind in ("images", "masks"):
            folder = tmp_path / split / kind
            folder.mkdir(parents=True)
            for z in range(2):
                picture = (
                    np.full((32, 32), 200, np.uint8) if kind == "masks" else rng.integers(0, 256, (32, 32), np.uint8)
                )
                Image.fromarray(picture).save(folder / f"{10000 + z}_{split}.png")
    (tmp_path / "c.config").write_text(CONFIG)
    return tmp_path


def edit(old: str, new: str) -> Callable[[Path], None]:
    """Return a fault that replaces text in the config."""

    def apply(root: Path) -> None:
        text = (root / "c.config").read_text()
        assert old in text
        (root / "c.config").write_text(text.replace(old, new, 1))

    return apply


def _remove_mask(root: Path) -> None:
    (root / "train/masks/10001_train.png").unlink()


def _empty_folder(root: Path) -> None:
    for path in (root / "valid/images").iterdir():
        path.unlink()


def _truncate_jpg(root: Path) -> None:
    (root / "train/images/10001_train.png").unlink()
    path = root / "train/images/10001_train.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (32, 32), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-200])


def _sixteen_bit(root: Path) -> None:
    Image.fromarray(np.full((32, 32), 4000, np.uint16)).save(root / "train/images/10000_train.png")


def _not_square(root: Path) -> None:
    for kind in ("images", "masks"):
        Image.fromarray(np.full((32, 48), 200, np.uint8)).save(root / f"train/{kind}/10000_train.png")


FAULTS = {
    "a missing mask": (_remove_mask, "10001_train.png has no mask"),
    "an empty folder": (_empty_folder, "[eval] image_datapath"),
    "a truncated jpg": (_truncate_jpg, "10001_train.jpg is damaged"),
    "a 16-bit png": (_sixteen_bit, "16 bits"),
    "an image that is not square": (_not_square, "48x32"),
    "a misspelt key": (edit("epochs =", "epocs ="), "epochs"),
    "code in the config": (edit("epochs = 1", "epochs = __import__('os').getpid()"), "[train] epochs"),
    "a wrong type": (edit("epochs = 1", 'epochs = "many"'), "[train] epochs (line 10)"),
    "a size that cannot be halved": (edit("image_width = 32", "image_width = 33"), "image_width"),
    "a dropout of one": (edit("num_layers = 2", "num_layers = 2\ndropout_rate = 1.0"), "dropout_rate"),
    "an unknown model": (edit("TensorflowUNet", "TensorflowUNett"), "TensorflowUNet"),
    "a missing folder": (edit("valid/images", "nowhere/images"), "does not exist"),
    "no quotes": (edit('"TensorflowUNet"', "TensorflowUNet"), "quotes"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_training_refuses_in_one_line(project: Path, capsys: pytest.CaptureFixture[str], fault: str) -> None:
    break_it, expected = FAULTS[fault]
    break_it(project)
    before = set(project.rglob("*"))
    assert run(["train", str(project / "c.config"), "--quiet"]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert "\n" not in error
    assert expected in error
    assert set(project.rglob("*")) == before


def _nan(path: Path) -> None:
    voxels = np.zeros((8, 8, 4), np.float32)
    voxels[1, 1, 1] = np.nan
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)


def _four_dimensions(path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((8, 8, 4, 3), np.int16), np.eye(4)), path)


def _cut_short(path: Path) -> None:
    nibabel.save(
        nibabel.Nifti1Image(np.random.default_rng(0).integers(0, 99, (32, 32, 9)).astype(np.int16), np.eye(4)), path
    )
    path.write_bytes(path.read_bytes()[:2000])


def _no_nifti(path: Path) -> None:
    path.write_bytes(gzip.compress(b"not a scan"))


@pytest.mark.parametrize(
    ("make", "expected"),
    [(_nan, "NaN"), (_four_dimensions, "4"), (_cut_short, "scan.nii.gz"), (_no_nifti, "scan.nii.gz")],
)
def test_preparing_refuses_a_bad_scan_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], None], expected: str
) -> None:
    for number in range(3):
        for kind in ("imagesTr", "labelsTr"):
            (tmp_path / "cohort" / kind).mkdir(parents=True, exist_ok=True)
            image = nibabel.Nifti1Image(np.zeros((8, 8, 4), np.int16), np.eye(4))
            nibabel.save(image, tmp_path / "cohort" / kind / f"case_{number}.nii.gz")
    for kind in ("imagesTr", "labelsTr"):
        nibabel.save(
            nibabel.Nifti1Image(np.zeros((8, 8, 4), np.int16), np.eye(4)), tmp_path / "cohort" / kind / "scan.nii.gz"
        )
    make(tmp_path / "cohort" / "imagesTr" / "scan.nii.gz")
    assert run(["prepare", str(tmp_path / "cohort"), str(tmp_path / "dataset"), "--quiet"]) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    assert expected in error


@pytest.mark.skipif(os.name != "posix", reason="a name too long is another error elsewhere")
@pytest.mark.parametrize("command", ["check", "stats", "split", "report"])
def test_a_path_that_the_system_refuses_is_one_line(capsys: pytest.CaptureFixture[str], command: str) -> None:
    name = "x" * 300
    assert run([command, name]) == 2
    error = capsys.readouterr().err.strip()
    assert name in error
    assert "bug" not in error


@pytest.mark.parametrize(
    "arguments",
    [
        ["trian"],
        ["train"],
        ["train", "nowhere.config"],
        ["train", "c", "--nonsense"],
        ["segment", "x.nii", "--model", "no"],
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run(arguments) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert "\n" not in error
