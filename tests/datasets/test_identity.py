from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spleenseg.datasets.folders import list_images, list_pairs
from spleenseg.datasets.identity import data_hash, patient_overlap, patients


def test_patients_are_listed_once_and_sorted(save_pairs) -> None:
    images, _ = save_pairs(["10002_bob.png", "10001_anna.png", "10003_anna.png"])
    assert patients(list_images(images)) == ("anna", "bob")


def test_overlap_is_what_two_splits_share(save_pairs) -> None:
    train, _ = save_pairs(["10001_anna.png", "10001_bob.png"])
    valid, _ = save_pairs(["10002_bob.png", "10001_carl.png"], split="valid")
    assert patient_overlap(list_images(train), list_images(valid)) == ("bob",)
    assert patient_overlap(list_images(train), ()) == ()


def test_the_hash_knows_neither_place_nor_order(save_pairs, tmp_path: Path) -> None:
    images, masks = save_pairs()
    files = list_pairs(images, masks)
    shutil.copytree(tmp_path / "data", tmp_path / "elsewhere")
    copies = list_pairs(tmp_path / "elsewhere/train/images", tmp_path / "elsewhere/train/masks")
    assert data_hash(files) == data_hash(copies) == data_hash(files[::-1])
    assert len(data_hash(files)) == 64


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_one_changed_pixel_changes_the_hash(save_pairs, tmp_path: Path, kind: str) -> None:
    files = list_pairs(*save_pairs())
    before = data_hash(files)
    path = tmp_path / "data" / "train" / kind / "10002_bob.png"
    pixels = np.array(Image.open(path))
    pixels[3, 3] += 1
    Image.fromarray(pixels).save(path)
    assert data_hash(files) != before


def test_names_and_missing_masks_count(save_pairs) -> None:
    images, masks = save_pairs(["10001_anna.png"])
    before = data_hash(list_pairs(images, masks))
    assert data_hash(list_images(images)) != before
    for folder in (images, masks):
        (folder / "10001_anna.png").rename(folder / "10001_bob.png")
    assert data_hash(list_pairs(images, masks)) != before
