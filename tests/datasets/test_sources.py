from __future__ import annotations

import json
import shutil
import stat
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spleenseg.datasets.nnunet import consecutive
from spleenseg.datasets.prepare import prepare
from spleenseg.datasets.reading import pseudonym_key
from spleenseg.datasets.source import Scan, Source, content_sha256
from spleenseg.datasets.sources import read_source
from spleenseg.errors import UserError
from spleenseg.volumes import read_labels, read_volume


def to_nnunet(source: Path, folder: Path, ending: str = ".nii.gz", **extra: object) -> Path:
    """Lay a cohort of `make_cohort` out as nnU-Net does."""
    for kind in ("imagesTr", "labelsTr"):
        (folder / kind).mkdir(parents=True)
        for path in (source / kind).iterdir():
            channel = "_0000" if kind == "imagesTr" else ""
            shutil.copy(path, folder / kind / f"{path.name.removesuffix('.nii.gz')}{channel}{ending}")
    facts = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "spleen": 1}, "file_ending": ending}
    (folder / "dataset.json").write_text(json.dumps(facts | {"numTraining": 3} | extra))
    return folder


def test_a_raw_dataset_of_nnunet_is_read(make_cohort, tmp_path: Path) -> None:
    folder = to_nnunet(make_cohort(3), tmp_path / "Dataset009_Spleen")
    source = read_source(folder)
    assert [scan.case for scan in source.scans] == ["spleen_0", "spleen_1", "spleen_2"]
    assert source.labels == {"spleen": 1}
    manifest = prepare(folder, tmp_path / "data")
    assert set(manifest.cases) == set(manifest.patients.values()) == {"spleen_0", "spleen_1", "spleen_2"}


def test_the_entries_of_a_dataset_json_count_where_it_lists_them(make_cohort, tmp_path: Path) -> None:
    listed = {"x": {"images": ["imagesTr/spleen_1_0000.nii.gz"], "label": "labelsTr/spleen_1.nii.gz"}}
    folder = to_nnunet(make_cohort(3), tmp_path / "Dataset009_Spleen", dataset=listed)
    (scan,) = read_source(folder).scans
    assert (scan.case, scan.image.name) == ("x", "spleen_1_0000.nii.gz")
    listed["x"]["label"] = "../labelsTr/spleen_1.nii.gz"
    shutil.rmtree(folder)
    with pytest.raises(UserError, match="lies outside"):
        read_source(to_nnunet(tmp_path / "Task09_Spleen", folder, dataset=listed))


@pytest.mark.parametrize("case", ["p1/scan", "../../evil", "..", "C:scan", ".hidden", ""])
def test_a_case_whose_name_is_a_path_is_refused(make_cohort, tmp_path: Path, case: str) -> None:
    listed = {case: {"images": ["imagesTr/spleen_1_0000.nii.gz"], "label": "labelsTr/spleen_1.nii.gz"}}
    folder = to_nnunet(make_cohort(3), tmp_path / "Dataset009_Spleen", dataset=listed)
    with pytest.raises(UserError, match="a name without folders is expected"):
        read_source(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "labelsTr/spleen_1.nii.gz").unlink(), "spleen_1 is in imagesTr but not in labelsTr"),
        (lambda folder: (folder / "imagesTr/spleen_1_0000.nii.gz").unlink(), "spleen_1 is in labelsTr but not in"),
        (
            lambda folder: (folder / "imagesTr/spleen_1_0000.nii.gz").rename(folder / "imagesTr/spleen_1.nii.gz"),
            r"nnU-Net calls the CT of a case spleen_1_0000\.nii\.gz",
        ),
        (lambda folder: shutil.rmtree(folder / "imagesTr") or shutil.rmtree(folder / "labelsTr"), "no labelled scan"),
    ],
)
def test_an_incomplete_raw_dataset_is_named(make_cohort, tmp_path: Path, change, message) -> None:
    folder = to_nnunet(make_cohort(3), tmp_path / "Dataset009_Spleen")
    change(folder)
    with pytest.raises(UserError, match=message):
        read_source(folder)


def test_channels_that_are_not_one_ct_are_refused(make_cohort, tmp_path: Path) -> None:
    folder = to_nnunet(make_cohort(3), tmp_path / "Dataset009_Spleen", channel_names={"0": "T1", "1": "T2"})
    with pytest.raises(UserError, match="T1, T2, not one channel of CT"):
        read_source(folder)


def test_what_is_written_for_nnunet_is_the_source_on_its_own_grid(make_cohort, tmp_path: Path) -> None:
    source, dataset = make_cohort(6, {1: "spleen", 6: "liver"}), tmp_path / "Dataset009_Spleen"
    manifest = prepare(source, dataset, layout="nnunet", labels={"spleen": 1, "liver": 6})
    facts = json.loads((dataset / "dataset.json").read_text())
    assert facts["labels"] == {"background": 0, "spleen": 1, "liver": 2}
    assert (facts["channel_names"], facts["file_ending"], facts["numTraining"]) == ({"0": "CT"}, ".nii.gz", 6)
    for case in manifest.cases:
        before = [nib.load(source / kind / f"{case}.nii.gz") for kind in ("imagesTr", "labelsTr")]
        after = [
            nib.load(dataset / "imagesTr" / f"{case}_0000.nii.gz"),
            nib.load(dataset / "labelsTr" / f"{case}.nii.gz"),
        ]
        assert all(np.allclose(a.affine, b.affine, atol=1e-4) for a, b in zip(before, after, strict=True))
        assert np.array_equal(before[0].dataobj, after[0].dataobj)
        truth = np.asarray(before[1].dataobj)
        assert np.array_equal(np.where(truth == 6, 2, truth), after[1].dataobj)
    folds = json.loads((dataset / "splits_final.json").read_text())
    assert sorted(case for fold in folds for case in fold["val"]) == sorted(manifest.cases)
    again = read_source(dataset)
    assert [scan.case for scan in again.scans] == sorted(manifest.cases)
    assert again.labels == {"spleen": 1, "liver": 2}


def test_a_name_that_nnunet_would_not_find_is_refused_before_anything_is_written(make_cohort, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="such as Dataset009_Spleen, not spleen"):
        prepare(make_cohort(3), tmp_path / "spleen", layout="nnunet")
    assert not (tmp_path / "spleen").exists()


def test_labels_are_numbered_in_the_order_of_their_values() -> None:
    assert consecutive({"c": 9, "a": 2, "b": 5}) == {"a": 1, "b": 2, "c": 3}


def test_scans_and_label_maps_may_lie_in_two_folders(make_cohort, tmp_path: Path) -> None:
    source = make_cohort(3, json_too=False)
    manifest = prepare(source / "imagesTr", tmp_path / "data", labels_from=source / "labelsTr", labels={"spleen": 1})
    assert manifest.cases["spleen_1"].organ_voxels == {"spleen": 50}
    assert (manifest.cases["spleen_1"].source, manifest.cases["spleen_1"].labels_source) == (
        "spleen_1.nii.gz",
        "labelsTr/spleen_1.nii.gz",
    )
    one = prepare(source / "imagesTr/spleen_1.nii.gz", tmp_path / "one", labels_from=source / "labelsTr", into="test")
    assert [(case, record.split) for case, record in one.cases.items()] == [("spleen_1", "test")]


def test_what_is_missing_beside_is_named(make_cohort, tmp_path: Path) -> None:
    source = make_cohort(3, json_too=False)
    (source / "labelsTr/spleen_2.nii.gz").unlink()
    with pytest.raises(UserError, match=r"spleen_2 is in .*imagesTr but not in .*labelsTr"):
        read_source(source / "imagesTr", source / "labelsTr")
    with pytest.raises(UserError, match="elsewhere does not exist"):
        read_source(source / "imagesTr", tmp_path / "elsewhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no scans"):
        read_source(tmp_path / "empty", source / "labelsTr")


def test_every_case_goes_where_it_is_told(make_cohort, tmp_path: Path) -> None:
    manifest = prepare(make_cohort(2), tmp_path / "data", into="test")
    assert {record.split for record in manifest.cases.values()} == {"test"}
    assert len(list((tmp_path / "data/test/images").iterdir())) == 12
    assert not (tmp_path / "data/train").exists()
    with pytest.raises(UserError, match=r"into must be train, valid or test, is 'tset' \(did you mean 'test'\?\)"):
        prepare(tmp_path / "Task09_Spleen", tmp_path / "other", into="tset")
    with pytest.raises(UserError, match="format must be slices, volumes or nnunet, is 'volume'"):
        prepare(tmp_path / "Task09_Spleen", tmp_path / "other", layout="volume")


def test_a_declared_orientation_is_applied_and_recorded(make_cohort, tmp_path: Path) -> None:
    source = make_cohort(3)
    plain = prepare(source, tmp_path / "plain", layout="volumes")
    turned = prepare(source, tmp_path / "turned", layout="volumes", orientation="RPS")
    assert plain.cases["spleen_0"].notes == ()
    assert turned.declared_orientation == "RPS"
    assert "RPS" in turned.cases["spleen_0"].notes[0]
    straight, mirrored = (np.load(tmp_path / name / "cases/spleen_0.npy") for name in ("plain", "turned"))
    assert np.array_equal(straight[..., ::-1], mirrored)
    with pytest.raises(UserError, match="declared_orientation was RPS, is None"):
        prepare(source, tmp_path / "turned", layout="volumes", resume=True)


def test_the_hash_of_a_folder_follows_names_and_contents(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "slice").write_bytes(b"1")
    assert content_sha256(tmp_path / "a") == content_sha256(tmp_path / "b")
    (tmp_path / "b" / "inner" / "slice").rename(tmp_path / "b" / "slice")
    assert content_sha256(tmp_path / "a") != content_sha256(tmp_path / "b")


@pytest.fixture
def amos(real_data: Path, tmp_path: Path) -> Path:
    """The same patient as a DICOM folder and as a zip, with DICOM label images and with NIfTI labels."""
    folder = tmp_path / "amos"
    (folder / "imagesTr").mkdir(parents=True)
    (folder / "labelsTr").mkdir()
    case = real_data / "amos-0001"
    (folder / "imagesTr" / "folder").symlink_to(case / "dicom")
    (folder / "labelsTr" / "folder").symlink_to(case / "label-dicom")
    with zipfile.ZipFile(folder / "imagesTr" / "archive.zip", "w") as archive:
        for path in sorted((case / "dicom").iterdir()):
            archive.write(path, path.name)
    (folder / "labelsTr" / "archive.nii.gz").symlink_to(case / "labels.nii.gz")
    return folder


def test_dicom_becomes_the_same_dataset_as_nifti(amos: Path, real_data: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "data"
    manifest = prepare(amos, dataset, layout="volumes", labels={"spleen": 1}, into="test")
    volume = read_volume(real_data / "amos-0001" / "ct.nii.gz", modality="CT")
    truth = read_labels(real_data / "amos-0001" / "labels.nii.gz", like=volume)
    for case in ("folder", "archive"):
        assert np.array_equal(np.load(dataset / "cases" / f"{case}.npy"), volume.array)
        assert np.array_equal(np.load(dataset / "labels" / f"{case}.npy"), truth == 1)
        record = manifest.cases[case]
        assert record.organ_voxels["spleen"] * record.voxel_ml == pytest.approx(69, rel=0.01)
    assert len({record.patient for record in manifest.cases.values()}) == 1  # one pseudonym


def test_the_key_of_the_pseudonyms_is_private_and_each_dataset_has_its_own(amos: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "data"
    manifest = prepare(amos, dataset, layout="volumes", labels={"spleen": 1}, into="test")
    key = dataset / ".patient-key"
    assert len(bytes.fromhex(key.read_text())) == 32
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    written = key.read_text()
    assert written not in json.dumps(manifest.model_dump(mode="json"))
    again = prepare(amos, tmp_path / "other", layout="volumes", labels={"spleen": 1}, into="test")
    assert (tmp_path / "other" / ".patient-key").read_text() != written
    patients = [{record.patient for record in made.cases.values()} for made in (manifest, again)]
    assert patients[0].isdisjoint(patients[1])


def test_a_dicom_segmentation_labels_the_series_it_was_drawn_on(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "dicom-robustness" / "dcmqi"
    manifest = prepare(
        folder / "ct-3slice",
        tmp_path / "data",
        labels_from=folder / "liver.dcm",
        labels={"liver": 1},
        layout="volumes",
        into="test",
    )
    labels = np.load(tmp_path / "data" / "labels" / "ct-3slice.npy")
    assert labels.shape == manifest.cases["ct-3slice"].shape
    assert manifest.cases["ct-3slice"].organ_voxels["liver"] == np.count_nonzero(labels) > 0


def test_a_resumed_run_takes_the_key_that_is_there_and_never_another(make_cohort, tmp_path: Path) -> None:
    (tmp_path / "scan.zip").write_bytes(b"")
    scans = (Scan("scan", tmp_path / "scan.zip", tmp_path / "scan.zip"),)
    source = Source(tmp_path, "scans", None, scans)
    key = pseudonym_key(source, tmp_path)
    assert key is not None
    assert pseudonym_key(source, tmp_path) == key
    (tmp_path / ".patient-key").write_text("no key")
    with pytest.raises(UserError, match=r"cannot keep the key of the pseudonyms in .*\.patient-key"):
        pseudonym_key(source, tmp_path)
    assert pseudonym_key(read_source(make_cohort(3)), tmp_path / "elsewhere") is None  # NIfTI names no patient
