from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spleenseg.cli.app import run
from spleenseg.datasets.folds import fold, make_folds, read_folds
from spleenseg.datasets.owners import one_patient_each
from spleenseg.datasets.prepare import prepare
from spleenseg.datasets.split import Fold
from spleenseg.datasets.splitting import patients_of, split
from spleenseg.errors import UserError
from spleenseg.progress import Silent


class Listener(Silent):
    """Collects what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def copy_case(source: Path, case: str, copy: str) -> None:
    """Add a copy of a case under another name: noisy, brighter, and cropped by a voxel on one side."""
    for kind in ("imagesTr", "labelsTr"):
        image = nib.load(source / kind / f"{case}.nii.gz")
        array = np.asarray(image.dataobj)[1:]
        if kind == "imagesTr":
            array = (array * 1.05 + np.random.default_rng(0).normal(0, 10, array.shape)).astype(np.int16)
        nib.save(nib.Nifti1Image(array, image.affine), source / kind / f"{copy}.nii.gz")


def sides_of(folds: tuple[Fold, ...], case: str) -> list[str]:
    return ["train" if case in fold.train else "valid" for fold in folds]


def test_folds_are_written_by_the_rule_of_nnunet_and_read_again(make_cohort, tmp_path: Path) -> None:
    source = make_cohort(12)
    made = split(source)
    assert made == make_folds({f"spleen_{number}": f"spleen_{number}" for number in range(12)})
    content = json.loads((source / "splits_final.json").read_text())
    assert [set(entry) for entry in content] == [{"train", "val"}] * 5
    assert sorted(case for entry in content for case in entry["val"]) == sorted(f"spleen_{n}" for n in range(12))
    assert read_folds(source / "splits_final.json") == made
    assert [fold(source, number) for number in range(5)] == list(made)
    assert split(source) == made  # again: the same file


def test_other_folds_are_never_overwritten(make_cohort, tmp_path: Path) -> None:
    source = make_cohort(6)
    split(source, 3)
    before = (source / "splits_final.json").read_bytes()
    with pytest.raises(UserError, match="holds other folds"):
        split(source, 2)
    assert (source / "splits_final.json").read_bytes() == before
    assert len(split(source, 2, output=tmp_path / "other")) == 2


@pytest.mark.parametrize("layout", ["slices", "volumes", "nnunet", "source", "pictures"])
def test_a_copy_of_a_scan_under_another_name_never_crosses_a_fold(make_cohort, tmp_path: Path, layout: str) -> None:
    source = make_cohort(9, json_too=False)
    copy_case(source, "spleen_4", "z_copy")
    dataset, listener = source, Listener()
    if layout != "source":
        dataset = tmp_path / "Dataset009_Spleen"
        prepare(source, dataset, layout="slices" if layout == "pictures" else layout, reporter=listener)
    if layout == "pictures":
        (dataset / "manifest.json").unlink()
    folds = split(dataset, output=tmp_path / "folds", reporter=listener)
    assert sides_of(folds, "spleen_4") == sides_of(folds, "z_copy")
    assert any("spleen_4 and z_copy show nearly the same image" in line for line in listener.said)
    assert len(set(patients_of(dataset).values())) == 9


@pytest.mark.parametrize("layout", ["slices", "volumes"])
@pytest.mark.parametrize("seed", range(4))
def test_a_copy_of_a_scan_is_prepared_into_the_split_of_the_scan(make_cohort, tmp_path, layout, seed) -> None:
    source = make_cohort(5, json_too=False)
    copy_case(source, "spleen_1", "a_copy")
    manifest = prepare(source, tmp_path / "data", layout=layout, seed=seed)
    first, second = (manifest.cases[case] for case in ("spleen_1", "a_copy"))
    assert (first.split, first.patient) == (second.split, second.patient) == (first.split, "a_copy")
    assert {record.split for record in manifest.cases.values()} == {"train", "valid", "test"}


def test_cases_of_one_patient_stay_together() -> None:
    patients = {"a": "p1", "b": "p1", "c": "p2"}
    listener = Listener()
    assert one_patient_each(patients, {}, listener) == patients
    assert listener.said == ["1 patient(s) have several cases: each patient stays on one side of every split"]


def test_given_folds_are_taken_over_if_they_fit(make_cohort, tmp_path: Path) -> None:
    source, given = make_cohort(4), tmp_path / "given.json"
    given.write_text(json.dumps([{"train": ["spleen_2", "spleen_0"], "val": ["spleen_1"]}]))
    assert split(source, given=given) == (Fold(("spleen_0", "spleen_2"), ("spleen_1",)),)
    assert fold(source, 0).valid == ("spleen_1",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"train": ["spleen_0"], "val": ["spleen_9"]}], "fold 0 names the case spleen_9, which the dataset does not"),
        ([{"train": ["spleen_0"], "val": ["spleen_0"]}], "fold 0 names spleen_0 more than once"),
        ([{"train": ["spleen_0"], "val": []}], "fold 0 needs"),
        ([{"train": ["spleen_0"]}], "fold 0 needs"),
        (
            [{"train": ["spleen_0", "spleen_1"], "val": ["z_copy"]}],
            "trains on spleen_1 and validates on z_copy, the same",
        ),
        ({}, "holds no folds"),
        ("", "holds no folds"),
    ],
)
def test_given_folds_that_do_not_fit_or_leak_are_refused(make_cohort, tmp_path: Path, content, message) -> None:
    source, given = make_cohort(3, json_too=False), tmp_path / "given.json"
    copy_case(source, "spleen_1", "z_copy")
    given.write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        split(source, given=given)
    assert not (source / "splits_final.json").exists()


def test_impossible_requests_are_one_line(make_cohort, tmp_path: Path) -> None:
    source = make_cohort(3)
    with pytest.raises(UserError, match="3 patients cannot be divided into 5 folds"):
        split(source)
    with pytest.raises(UserError, match="not both"):
        split(source, 3, given=source / "dataset.json")
    with pytest.raises(UserError, match=r"splits_final\.json does not exist; `spleenseg split"):
        fold(source, 0)
    split(source, 3)
    with pytest.raises(UserError, match="folds 0 to 2, not 3"):
        fold(source, 3)
    (source / "splits_final.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        fold(source, 0)
    shutil.rmtree(source)
    with pytest.raises(UserError, match="is not a folder"):
        split(source)


def test_the_command_prints_the_folds(make_cohort, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_cohort(5)
    assert run(["split", str(source), "--folds", "2", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["fold"], row["train"], row["val"]) for row in rows] == [(0, 2, 3), (1, 3, 2)]
    assert run(["split", str(source), "--from", str(source / "splits_final.json"), "-o", str(source / "again")]) == 0
    assert (source / "again" / "splits_final.json").read_bytes() == (source / "splits_final.json").read_bytes()
