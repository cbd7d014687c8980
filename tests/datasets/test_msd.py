from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spleenseg.datasets.msd import read_msd
from spleenseg.errors import UserError


def describe(folder: Path, **changes: Any) -> None:
    path = folder / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_dataset_json_says_which_scans_belong_together(make_cohort) -> None:
    folder = make_cohort(3)
    (folder / "imagesTr" / "stray.nii.gz").write_bytes(b"not listed")
    source = read_msd(folder)
    assert (source.name, source.labels) == ("Spleen", {"spleen": 1})
    assert [scan.case for scan in source.scans] == ["spleen_0", "spleen_1", "spleen_2"]
    assert source.scans[1].labels == folder / "labelsTr" / "spleen_1.nii.gz"


def test_without_dataset_json_the_folders_say_it(make_cohort) -> None:
    folder = make_cohort(3, json_too=False)
    (folder / "imagesTr" / "._spleen_0.nii.gz").write_bytes(b"left by macOS")
    (folder / "imagesTs").mkdir()
    (folder / "imagesTs" / "new.nii.gz").write_bytes(b"")
    source = read_msd(folder)
    assert (source.name, source.labels, len(source.scans)) == ("Task09_Spleen", None, 3)
    assert source.unlabelled == (folder / "imagesTs" / "new.nii.gz",)


def test_labels_may_be_written_as_nnunet_does(make_cohort) -> None:
    folder = make_cohort(1)
    describe(folder, labels={"background": 0, "spleen": 1, "liver": 6}, channel_names={"0": "CT"})
    assert read_msd(folder).labels == {"spleen": 1, "liver": 6}


def test_a_lone_scan_is_named(make_cohort) -> None:
    folder = make_cohort(2, json_too=False)
    (folder / "labelsTr" / "spleen_1.nii.gz").unlink()
    with pytest.raises(UserError, match="spleen_1 is in imagesTr but not in labelsTr"):
        read_msd(folder)


def test_a_listed_file_that_is_missing_is_named(make_cohort) -> None:
    folder = make_cohort(2)
    (folder / "labelsTr" / "spleen_1.nii.gz").unlink()
    with pytest.raises(UserError, match=r"labelsTr/spleen_1\.nii\.gz, which is missing"):
        read_msd(folder)


@pytest.mark.parametrize("name", ["../secret.nii.gz", "/etc/passwd", "imagesTr/../../secret.nii.gz"])
def test_a_listed_file_outside_the_folder_is_refused(make_cohort, tmp_path: Path, name: str) -> None:
    folder = make_cohort(1)
    (tmp_path / "secret.nii.gz").write_bytes(b"")
    describe(folder, training=[{"image": name, "label": name}])
    with pytest.raises(UserError, match="lies outside"):
        read_msd(folder)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"training": None}, 'no list "training"'),
        ({"training": ["a.nii.gz"]}, 'needs an "image" and a "label"'),
        ({"training": []}, "holds no labelled scan"),
        ({"training": [{"image": 3, "label": 4}]}, "no file name"),
        ({"labels": {}}, 'has no "labels"'),
        ({"labels": {"0": "background"}}, "other than the background"),
        ({"labels": {"spleen": [1, 2]}}, "one whole number"),
        ({"modality": {"0": "MRI"}}, "describes MRI"),
        ({"modality": {"0": "FLAIR", "1": "T1w"}}, "describes FLAIR, T1w"),
    ],
)
def test_what_dataset_json_gets_wrong_is_one_clear_line(make_cohort, changes: dict[str, Any], word: str) -> None:
    folder = make_cohort(1)
    describe(folder, **changes)
    with pytest.raises(UserError, match=word):
        read_msd(folder)


def test_what_is_no_msd_folder_is_said_so(tmp_path: Path, make_cohort) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_msd(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no dataset\.json and no scans"):
        read_msd(tmp_path)
    folder = make_cohort(1)
    (folder / "dataset.json").write_text("{")
    with pytest.raises(UserError, match="is damaged: no JSON"):
        read_msd(folder)


def test_two_scans_of_one_name_are_refused(make_cohort) -> None:
    folder = make_cohort(2)
    entry = {"image": "imagesTr/spleen_0.nii.gz", "label": "labelsTr/spleen_0.nii.gz"}
    describe(folder, training=[entry, entry])
    with pytest.raises(UserError, match="two scans are called spleen_0"):
        read_msd(folder)
