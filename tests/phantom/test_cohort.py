"""Cohorts on disk: the Decathlon's layout, independent of count and threads, never overwriting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spleenseg.errors import UserError
from spleenseg.phantom import make_patient, write_cohort
from spleenseg.progress import Silent, Task
from spleenseg.volumes import read_labels, read_volume

SMALL = {"size": 32, "slices": 10}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort") / "phantom"
    return write_cohort(folder, 3, seed=8, unlabelled=1, splenectomy=0.5, threads=1, **SMALL)


def test_the_layout_is_the_decathlons(cohort: Path) -> None:
    assert sorted(contents(cohort)) == [
        "dataset.json",
        "imagesTr/phantom_001.nii.gz",
        "imagesTr/phantom_002.nii.gz",
        "imagesTr/phantom_003.nii.gz",
        "imagesTs/phantom_u001.nii.gz",
        "labelsTr/phantom_001.nii.gz",
        "labelsTr/phantom_002.nii.gz",
        "labelsTr/phantom_003.nii.gz",
        "phantom.json",
    ]
    about = json.loads((cohort / "dataset.json").read_text())
    assert about["modality"] == {"0": "CT"}
    assert about["labels"] == {"0": "background", "1": "spleen"}
    assert (about["numTraining"], about["numTest"]) == (3, 1)
    assert about["training"][0] == {
        "image": "./imagesTr/phantom_001.nii.gz",
        "label": "./labelsTr/phantom_001.nii.gz",
    }
    assert about["test"] == ["./imagesTs/phantom_u001.nii.gz"]
    assert "not evidence about patients" in about["description"]


def test_every_pair_is_int16_ct_with_a_label_on_its_grid(cohort: Path) -> None:
    facts = json.loads((cohort / "phantom.json").read_text())["patients"]
    for image in sorted((cohort / "imagesTr").iterdir()):
        stored = nib.load(image)
        assert stored.get_data_dtype() == np.int16
        assert (int(stored.header["sform_code"]), int(stored.header["qform_code"])) == (1, 0)
        volume = read_volume(image, modality="CT")
        labels = read_labels(cohort / "labelsTr" / image.name, volume)
        assert volume.array.shape == (10, 32, 32)
        assert labels.any() == (facts[volume.case]["spleen"] > 0)
    assert {patient["spleen"] > 0 for patient in facts.values()} == {True, False}


def test_what_is_read_is_what_was_made(cohort: Path) -> None:
    seed = np.random.SeedSequence(8, spawn_key=(0, 3))
    patient = make_patient(seed, SMALL["size"], slices=SMALL["slices"], splenectomy=0.5)
    volume = read_volume(cohort / "imagesTr" / "phantom_003.nii.gz")
    assert np.array_equal(volume.array, patient.hu)
    assert patient.labels.any()
    assert np.array_equal(read_labels(cohort / "labelsTr" / "phantom_003.nii.gz", volume), patient.labels)
    assert volume.spacing == pytest.approx(patient.spacing, rel=1e-6)


def test_files_are_stored_in_several_axis_orders(cohort: Path) -> None:
    affines = [nib.load(path).affine for path in sorted(cohort.rglob("phantom_*.nii.gz"))]
    orders = {"".join(nib.aff2axcodes(affine)) for affine in affines}
    assert len(orders) > 1
    assert orders <= {"RAS", "LAS", "LPS"}


def test_a_patient_does_not_depend_on_the_count_or_the_threads(cohort: Path, tmp_path: Path) -> None:
    other = write_cohort(tmp_path / "b", 1, seed=8, unlabelled=1, splenectomy=0.5, threads=2, **SMALL)
    files = contents(cohort)
    for name, content in contents(other).items():
        if name.endswith(".gz"):
            assert content == files[name], name
    third = write_cohort(tmp_path / "c", 1, seed=9, unlabelled=0, splenectomy=0.5, **SMALL)
    assert contents(third)["imagesTr/phantom_001.nii.gz"] != files["imagesTr/phantom_001.nii.gz"]


class _Interrupting(Silent):
    """Stops the work, as Ctrl-C does, when the first patient is done."""

    @contextmanager
    def task(self, title: str, total: int | None) -> Iterator[Task]:
        yield self

    def advance(self, steps: int = 1, note: str = "") -> None:
        if note:
            raise KeyboardInterrupt


def test_an_interrupted_cohort_is_continued_and_ends_as_if_nothing_had_happened(cohort: Path, tmp_path: Path) -> None:
    folder = tmp_path / "phantom"
    settings = {"unlabelled": 1, "splenectomy": 0.5, "threads": 1, **SMALL}
    with pytest.raises(KeyboardInterrupt):
        write_cohort(folder, 3, 8, reporter=_Interrupting(), **settings)
    begun = sorted(contents(folder))
    assert "imagesTr/phantom_001.nii.gz" in begun
    assert "dataset.json" not in begun
    assert not any("writing" in name for name in begun)
    image = folder / "imagesTr" / "phantom_001.nii.gz"
    before = image.stat().st_mtime_ns
    write_cohort(folder, 3, 8, resume=True, **settings)
    assert image.stat().st_mtime_ns == before
    assert contents(folder) == contents(cohort)


def test_a_folder_with_anything_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for resume in (False, True):
        with pytest.raises(UserError, match="not empty"):
            write_cohort(tmp_path, 1, 0, resume=resume, **SMALL)
    assert contents(tmp_path) == {"mine.txt": b"mine"}


def test_continuing_with_other_settings_is_refused(cohort: Path) -> None:
    with pytest.raises(UserError, match="other settings"):
        write_cohort(cohort, 3, seed=12, unlabelled=1, splenectomy=0.5, resume=True, **SMALL)


@pytest.mark.parametrize(
    ("word", "change"),
    [
        ("cases", {"cases": 0}),
        ("size", {"size": 8}),
        ("splenectomies", {"splenectomy": 1.5}),
        ("slices", {"slices": 0}),
        ("threads", {"threads": 0}),
        ("seed", {"seed": -1}),
        ("unlabelled", {"unlabelled": -1}),
    ],
)
def test_settings_out_of_range_are_refused_before_anything_is_written(
    word: str, change: dict[str, int], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=word):
        write_cohort(tmp_path / "new", **{"cases": 1, "seed": 0, **SMALL, **change})
    assert not (tmp_path / "new").exists()
