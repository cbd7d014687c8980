from __future__ import annotations

import json
from pathlib import Path

import pytest

from spleenseg.datasets.manifest import CaseRecord, Expectation, Manifest, find_manifest
from spleenseg.errors import UserError

CASE = CaseRecord(
    patient="p1",
    split="train",
    spacing=(0.8, 0.8, 5),
    voxel_ml=0.0032,
    shape=(6, 20, 24),
    slices=6,
    organ_voxels={"spleen": 50},
    source="imagesTr/a.nii.gz",
    source_sha256="0" * 64,
    labels_source="labelsTr/a.nii.gz",
    labels_sha256="1" * 64,
    orientation="LAS",
)
MANIFEST = Manifest(
    created_by="spleenseg 0.1.0",
    source="Task09_Spleen",
    window_hu=(-160, 240),
    display="radiological",
    labels={"spleen": 1},
    seed=137,
    shares=(0.7, 0.2, 0.1),
    cases={"a": CASE},
)


@pytest.mark.parametrize("place", [".", "train", "train/images", "test/masks"])
def test_the_manifest_is_found_from_every_folder_of_the_dataset(tmp_path: Path, place: str) -> None:
    MANIFEST.write(tmp_path)
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    assert find_manifest(tmp_path / place) == MANIFEST


def test_the_manifest_is_found_through_links_in_both_directions(tmp_path: Path) -> None:
    dataset, disk = tmp_path / "dataset", tmp_path / "disk"
    (disk / "train" / "images").mkdir(parents=True)
    dataset.mkdir()
    MANIFEST.write(dataset)
    (dataset / "train").symlink_to(disk / "train")
    assert find_manifest(dataset / "train" / "images") == MANIFEST
    (tmp_path / "pictures").symlink_to(dataset)
    assert find_manifest(tmp_path / "pictures") == MANIFEST


def test_a_folder_without_manifest_has_none(tmp_path: Path) -> None:
    assert find_manifest(tmp_path / "train" / "images") is None


def test_somebody_elses_manifest_is_not_ours(tmp_path: Path) -> None:
    for text in ('{"name": "my web app", "icons": []}', "[1, 2]"):
        (tmp_path / "manifest.json").write_text(text)
        assert find_manifest(tmp_path) is None


def test_a_damaged_manifest_is_one_clear_error(tmp_path: Path) -> None:
    MANIFEST.write(tmp_path)
    path = tmp_path / "manifest.json"
    whole = json.loads(path.read_text())
    path.write_text(path.read_text()[:-30])
    with pytest.raises(UserError, match="is damaged"):
        find_manifest(tmp_path)
    path.write_text(json.dumps(whole | {"display": "sideways"}))
    with pytest.raises(UserError, match="display"):
        find_manifest(tmp_path)
    path.write_text(json.dumps(whole | {"format": 99}))
    with pytest.raises(UserError, match="newer version"):
        find_manifest(tmp_path)


def test_a_dataset_that_prepare_has_not_finished_is_not_taken_for_a_plain_folder(tmp_path: Path) -> None:
    (tmp_path / ".prepare").mkdir()
    (tmp_path / "train" / "images").mkdir(parents=True)
    with pytest.raises(UserError, match="--resume"):
        find_manifest(tmp_path / "train" / "images")


def test_the_file_says_what_others_rely_on(tmp_path: Path) -> None:
    MANIFEST.write(tmp_path)
    data = json.loads((tmp_path / "manifest.json").read_text())
    assert data["window_hu"] == [-160, 240]
    assert data["display"] == "radiological"
    assert data["pixel_mm"] is None
    assert data["context"] == 0
    assert data["labels"] == {"spleen": 1}
    assert data["cases"]["a"]["split"] == "train"


def test_expectations_are_the_datasets_or_the_references() -> None:
    ours = MANIFEST.expectation
    assert (ours.window_hu, ours.display, ours.labels) == ((-160, 240), "radiological", {"spleen": 1})
    plain = Expectation.reference()
    assert (plain.window_hu, plain.display, plain.pixel_mm, plain.context) == ((0, 255), "reference", None, 0)
    assert Expectation.model_validate_json(ours.model_dump_json()) == ours
