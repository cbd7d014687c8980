"""Datasets of pictures: leaks, masks that are none or lie elsewhere, and how slices are displayed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.audit.test_volumes import errors

from spleenseg.audit import check
from spleenseg.datasets.prepare import prepare


@pytest.fixture(scope="module")
def prepared(clean: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dataset = tmp_path_factory.mktemp("prepared") / "Spleen"
    prepare(clean, dataset)
    return dataset


@pytest.fixture
def dataset(prepared: Path, tmp_path: Path) -> Path:
    shutil.copytree(prepared, tmp_path / "Spleen")
    return tmp_path / "Spleen"


def repaint(path: Path, work: object) -> None:
    picture = np.array(Image.open(path))
    Image.fromarray(np.ascontiguousarray(work(picture)).astype(np.uint8)).save(path)  # type: ignore[operator]


def pictures(dataset: Path, split: str, kind: str = "images") -> list[Path]:
    return sorted((dataset / split / kind).iterdir())


def cases(dataset: Path, split: str) -> list[str]:
    return sorted({path.stem.split("_", 1)[1] for path in pictures(dataset, split)})


def test_a_prepared_dataset_is_clean_and_displayed_as_its_manifest_says(prepared: Path) -> None:
    report = check(prepared)
    assert report.findings == ()
    assert [verdict.verdict for verdict in report.orientation] == ["agrees", "agrees"]


def test_a_patient_copied_into_another_split_is_found_under_any_name(dataset: Path) -> None:
    leaked = cases(dataset, "train")[0]
    for kind in ("images", "masks"):
        for path in (dataset / "train" / kind).glob(f"*_{leaked}.png"):
            shutil.copy(path, dataset / "valid" / kind / path.name)
    assert (leaked, "leak") in errors(check(dataset, quick=True))
    for kind in ("images", "masks"):
        for path in (dataset / "valid" / kind).glob(f"*_{leaked}.png"):
            path.rename(path.with_name(path.name.replace(leaked, "somebody_else")))
    assert any(kind == "leak" for _, kind in errors(check(dataset, quick=True)))


def test_a_leaked_patient_is_found_though_every_image_was_changed(dataset: Path) -> None:
    leaked = cases(dataset, "train")[0]
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        for path in list((dataset / "train" / kind).glob(f"*_{leaked}.png")):
            copy = dataset / "valid" / kind / path.name.replace(leaked, "somebody_else")
            shutil.copy(path, copy)
            if kind == "images":
                repaint(copy, lambda grey: (grey + rng.normal(0, 6, grey.shape)).clip(0, 255))
    found = errors(check(dataset))
    assert found
    assert {kind for _, kind in found} == {"leak"}


def test_wrong_values_sizes_and_unreadable_pictures_are_found(dataset: Path) -> None:
    masks, images = pictures(dataset, "train", "masks"), pictures(dataset, "train")
    repaint(masks[0], lambda grey: np.full_like(grey, 7))
    repaint(masks[1], lambda grey: grey[:-2])
    images[2].write_bytes(images[2].read_bytes()[:60])
    found = errors(check(dataset, quick=True))
    assert found == {(masks[0].name, "labels"), (masks[1].name, "grid"), (images[2].name, "unreadable")}


def test_a_lone_image_is_named(dataset: Path) -> None:
    pictures(dataset, "train", "masks")[0].unlink()
    assert errors(check(dataset, quick=True)) == {("train", "layout")}


def test_a_split_without_any_organ_is_an_error(dataset: Path) -> None:
    for path in pictures(dataset, "valid", "masks"):
        repaint(path, lambda grey: grey * 0)
    assert errors(check(dataset, quick=True)) == {("valid", "empty")}


def test_masks_that_lie_beside_the_organ_are_found(dataset: Path) -> None:
    shifted = cases(dataset, "train")[0]
    for path in (dataset / "train" / "masks").glob(f"*_{shifted}.png"):
        repaint(path, lambda grey: np.roll(grey, (4, 4), (0, 1)))
    assert errors(check(dataset)) == {(shifted, "shifted")}


@pytest.mark.parametrize(("axis", "what"), [(0, "upside down"), (1, "manifest says display radiological")])
def test_turned_pictures_contradict_their_manifest(dataset: Path, axis: int, what: str) -> None:
    for path in dataset.glob("*/*/*.png"):
        repaint(path, lambda grey: np.flip(grey, axis))
    found = [found for found in check(dataset).findings if found.severity == "error"]
    assert [found.kind for found in found] == ["orientation"]
    assert what in found[0].message


def test_pictures_without_a_manifest_that_are_mirrored_get_a_note(dataset: Path) -> None:
    (dataset / "manifest.json").unlink()
    for path in dataset.glob("*/*/*.png"):
        repaint(path, lambda grey: grey[:, ::-1])
    assert [(found.kind, found.severity) for found in check(dataset).findings] == [("orientation", "note")]


@pytest.mark.parametrize(
    ("folder", "words"), [("msd-spleen-slices", "mirrored left-right"), ("btcv-slices", "upside down")]
)
def test_real_slices_are_clean_but_for_a_note_on_their_display(real_data: Path, folder: str, words: str) -> None:
    found = check(real_data / folder).findings
    assert [(one.kind, one.severity) for one in found] == [("orientation", "note")]
    assert words in found[0].message
