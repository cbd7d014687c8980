from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from spleenseg.datasets.check import check_sections
from spleenseg.datasets.folders import list_pairs
from spleenseg.datasets.manifest import find_manifest
from spleenseg.datasets.prepare import prepare
from spleenseg.datasets.request import parse_labels
from spleenseg.datasets.slices import SliceSet
from spleenseg.datasets.statistics import stats
from spleenseg.errors import UserError
from spleenseg.files import sha256
from spleenseg.volumes import apply_window, read_labels, read_volume

from .conftest import Listener

SPLITS = ("train", "valid", "test")


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.mode == "L"
        return np.array(picture)


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256(path) for path in folder.rglob("*") if path.is_file()}


def times(dataset: Path, cases: Iterable[str]) -> dict[tuple[str, str], int]:
    """Return when each picture of some cases was written, wherever it lies by now."""
    paths = [path for case in cases for path in dataset.rglob(f"*_{case}.png")]
    return {(path.parent.name, path.name): path.stat().st_mtime_ns for path in paths}


def test_every_slice_of_every_scan_is_written_windowed_and_lossless(make_cohort, tmp_path: Path) -> None:
    source, dataset = make_cohort(4), tmp_path / "dataset"
    manifest = prepare(source, dataset, window=(-100, 300))
    for case, record in manifest.cases.items():
        volume = read_volume(source / record.source)
        truth = read_labels(source / record.labels_source, like=volume)
        for z in range(6):
            name = f"{10000 + z}_{case}.png"
            grey = pixels(dataset / record.split / "images" / name)
            assert np.array_equal(grey, apply_window(volume.array[z], (-100, 300)))
            assert np.array_equal(pixels(dataset / record.split / "masks" / name), truth[z] * 255)
    files = [file for split in SPLITS for file in list_pairs(dataset / split / "images", dataset / split / "masks")]
    assert len(files) == 4 * 6  # the four slices without organ of each scan are there too


def test_no_patient_is_in_two_splits(make_cohort, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    manifest = prepare(make_cohort(10), dataset)
    found = {
        split: {file.patient for file in list_pairs(dataset / split / "images", dataset / split / "masks")}
        for split in SPLITS
    }
    assert [len(found[split]) for split in SPLITS] == [7, 2, 1]
    assert len(set.union(*found.values())) == 10
    contents = {split: {sha256(path) for path in (dataset / split / "images").iterdir()} for split in SPLITS}
    assert contents["train"].isdisjoint(contents["valid"] | contents["test"])
    assert contents["valid"].isdisjoint(contents["test"])
    assert {record.patient: record.split for record in manifest.cases.values()} == {
        patient: split for split in SPLITS for patient in found[split]
    }


def test_radiological_shows_the_left_on_the_right_and_reference_mirrors_it(make_cohort, tmp_path: Path) -> None:
    source = make_cohort(3)  # the organ is on the patient's left
    shown = {}
    for display in ("radiological", "reference"):
        manifest = prepare(source, tmp_path / display, display=display)
        record = manifest.cases["spleen_0"]
        folder = tmp_path / display / record.split
        shown[display] = [pixels(folder / kind / "10002_spleen_0.png") for kind in ("images", "masks")]
        assert manifest.expectation.display == display
    assert np.flatnonzero(shown["radiological"][1].any(axis=0)).min() >= 12
    assert np.flatnonzero(shown["reference"][1].any(axis=0)).max() < 12
    for straight, mirrored in zip(shown["radiological"], shown["reference"], strict=True):
        assert np.array_equal(straight, mirrored[:, ::-1])


def test_the_manifest_knows_every_case(make_cohort, tmp_path: Path) -> None:
    source, dataset = make_cohort(3), tmp_path / "dataset"
    manifest = prepare(source, dataset, seed=5)
    assert find_manifest(dataset / "train" / "images") == manifest
    assert (manifest.window_hu, manifest.seed, manifest.labels) == ((-160, 240), 5, {"spleen": 1})
    record = manifest.cases["spleen_1"]
    assert record.spacing == pytest.approx((0.8, 0.8, 5.0), abs=1e-6)
    assert (record.shape, record.slices, record.orientation) == ((6, 20, 24), 6, "LPS")
    assert record.organ_voxels == {"spleen": 5 * 5 * 2}
    assert record.voxel_ml == pytest.approx(0.0032)
    assert record.source_sha256 == sha256(source / "imagesTr" / "spleen_1.nii.gz")
    assert not (dataset / ".prepare").exists()


def test_several_labels_keep_their_values_and_others_become_background(make_cohort, tmp_path: Path) -> None:
    source = make_cohort(3, {1: "spleen", 6: "liver", 7: "stomach"}, json_too=False)
    manifest = prepare(source, tmp_path / "two", labels={"spleen": 1, "liver": 6})
    record = manifest.cases["spleen_0"]
    mask = pixels(tmp_path / "two" / record.split / "masks" / "10003_spleen_0.png")
    assert set(np.unique(mask)) == {0, 1, 6}
    assert record.organ_voxels == {"spleen": 50, "liver": 50}
    prepare(source, tmp_path / "one", labels={"liver": 6})
    mask = pixels(tmp_path / "one" / record.split / "masks" / "10003_spleen_0.png")
    assert set(np.unique(mask)) == {0, 255}
    assert np.flatnonzero(mask.any(axis=1)).min() >= 10


def test_a_label_value_that_nobody_named_is_an_error(make_cohort, tmp_path: Path) -> None:
    source = make_cohort(3, {1: "spleen", 6: "liver"}, json_too=False)
    with pytest.raises(UserError, match=r"spleen_0\.nii\.gz holds the label value 6, known are organ=1.*--label"):
        prepare(source, tmp_path / "dataset", threads=1)


def test_a_folder_in_use_is_refused_and_left_alone(make_cohort, tmp_path: Path) -> None:
    source, dataset = make_cohort(3), tmp_path / "dataset"
    dataset.mkdir()
    (dataset / "thesis.txt").write_text("mine")
    for resume in (False, True):
        with pytest.raises(UserError, match=r"not empty|not begun by prepare"):
            prepare(source, dataset, resume=resume)
    with pytest.raises(UserError, match="not empty"):
        prepare(source, source)
    assert tree(dataset) == {"thesis.txt": sha256(dataset / "thesis.txt")}


def test_a_finished_dataset_is_not_made_again(make_cohort, tmp_path: Path) -> None:
    source, dataset = make_cohort(3), tmp_path / "dataset"
    first = prepare(source, dataset)
    times = {path: path.stat().st_mtime_ns for path in dataset.rglob("*")}
    with pytest.raises(UserError, match="not empty"):
        prepare(source, dataset)
    assert prepare(source, dataset, resume=True) == first
    assert {path: path.stat().st_mtime_ns for path in dataset.rglob("*")} == times


def test_resuming_with_another_request_says_what_differs(make_cohort, tmp_path: Path) -> None:
    source, dataset = make_cohort(3), tmp_path / "dataset"
    prepare(source, dataset, seed=1)
    with pytest.raises(UserError, match=r"seed was 1, is 2; repeat those"):
        prepare(source, dataset, seed=2, resume=True)
    with pytest.raises(UserError, match=r"display was radiological, is reference"):
        prepare(source, dataset, seed=1, display="reference", resume=True)
    with pytest.raises(UserError, match=r"1 case\(s\) added \(spleen_3"):
        prepare(make_cohort(4), dataset, seed=1, resume=True)


def test_a_killed_run_continues_without_doing_finished_cases_again(
    make_cohort, prepare_until_killed, tmp_path: Path
) -> None:
    source, dataset = make_cohort(12), tmp_path / "dataset"
    prepare_until_killed(source, dataset)
    assert not (dataset / "manifest.json").exists()
    records = {path.stem: json.loads(path.read_text()) for path in (dataset / ".prepare/cases").glob("[!.]*.json")}
    assert 2 <= len(records) < 12
    leftover = dataset / ".prepare" / "slices" / records.popitem()[0] / "images" / ".writing-half.png"
    leftover.write_bytes(b"half a picture")
    done = times(dataset, records)
    assert len(done) >= 2 * 6
    with pytest.raises(UserError, match="seed was 137, is 1"):
        prepare(source, dataset, seed=1, resume=True)

    prepare(source, dataset, resume=True)
    assert times(dataset, records) == done
    prepare(source, tmp_path / "at_once")
    assert tree(dataset) == tree(tmp_path / "at_once")


def test_a_bad_scan_is_named_and_the_rest_continues_once_it_is_mended(make_cohort, tmp_path: Path) -> None:
    source, dataset = make_cohort(4), tmp_path / "dataset"
    bad = source / "imagesTr" / "spleen_2.nii.gz"
    whole = bad.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"spleen_2\.nii\.gz"):
        prepare(source, dataset)
    assert not (dataset / "manifest.json").exists()
    bad.write_bytes(whole)
    assert len(prepare(source, dataset, resume=True).cases) == 4


def test_labels_on_another_grid_are_refused(make_cohort, tmp_path: Path) -> None:
    source = make_cohort(3)
    shifted = np.diag([-0.8, -0.8, 5.0, 1.0])
    shifted[0, 3] = 40
    nib.save(nib.Nifti1Image(np.zeros((24, 20, 6), np.uint8), shifted), source / "labelsTr" / "spleen_1.nii.gz")
    with pytest.raises(UserError, match=r"spleen_1\.nii\.gz.* another grid"):
        prepare(source, tmp_path / "dataset")


def test_the_number_of_threads_changes_nothing(make_cohort, tmp_path: Path) -> None:
    source = make_cohort(4)
    prepare(source, tmp_path / "one", threads=1)
    prepare(source, tmp_path / "four", threads=4)
    assert tree(tmp_path / "one") == tree(tmp_path / "four")


@pytest.mark.skipif(os.name != "posix", reason="a umask is a POSIX notion")
def test_pictures_have_the_rights_of_any_new_file(make_cohort, tmp_path: Path) -> None:
    prepare(make_cohort(3), tmp_path / "dataset", threads=4)
    (tmp_path / "plain").write_text("")
    usual = (tmp_path / "plain").stat().st_mode & 0o777
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "dataset").rglob("*.png")} == {usual}


def test_too_few_patients_to_split_are_refused_before_anything_is_written(make_cohort, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="2 patients cannot be split"):
        prepare(make_cohort(2), tmp_path / "dataset")
    assert not (tmp_path / "dataset").exists()


def test_impossible_arguments_are_one_clear_line(make_cohort, tmp_path: Path) -> None:
    source, dataset = make_cohort(3), tmp_path / "dataset"
    with pytest.raises(UserError, match="LOW below HIGH, not 240 -160"):
        prepare(source, dataset, window=(240, -160))
    with pytest.raises(UserError, match=r"did you mean 'radiological'"):
        prepare(source, dataset, display="radiologic")
    with pytest.raises(UserError, match="values go from 1 to 255"):
        prepare(source, dataset, labels={"spleen": 0})
    with pytest.raises(UserError, match="same value"):
        prepare(source, dataset, labels={"spleen": 1, "liver": 1})


def test_labels_on_the_command_line() -> None:
    assert parse_labels(["spleen=1", " liver = 6"]) == {"spleen": 1, "liver": 6}
    assert parse_labels(None) is parse_labels([]) is None
    for text in ("spleen", "=1", "spleen=one", "spleen=-1", "spleen=1.5"):
        with pytest.raises(UserError, match="NAME=VALUE"):
            parse_labels([text])
    with pytest.raises(UserError, match="given twice"):
        parse_labels(["a=1", "a=2"])


def test_a_model_sees_a_prepared_dataset_as_it_was_made(make_cohort, make_config, tmp_path: Path) -> None:
    prepare(make_cohort(5), tmp_path / "data")
    config = make_config()
    check_sections(config, ("train", "eval", "test"))
    slices = SliceSet.from_config(config, "train")
    assert slices.manifest is not None
    assert slices.expectation == slices.manifest.expectation
    assert {file.patient for file in slices.files} <= set(slices.manifest.patients.values())


def test_labels_and_classes_must_fit(make_cohort, make_config, tmp_path: Path) -> None:
    prepare(make_cohort(3, {1: "spleen", 2: "liver"}), tmp_path / "data")
    with pytest.raises(UserError, match=r"num_classes .* is 1, but .* spleen = 1, liver = 2: it needs 3"):
        check_sections(make_config(), ("train",))
    check_sections(make_config("model.num_classes=3", 'model.final_activation="softmax"'), ("train",))


def test_splits_prepared_differently_are_refused(make_cohort, make_config, tmp_path: Path) -> None:
    source = make_cohort(3)
    prepare(source, tmp_path / "data")
    prepare(source, tmp_path / "other", window=(0, 255))
    folder = tmp_path / "other" / "valid"
    config = make_config(f'eval.image_datapath="{folder}/images"', f'eval.mask_datapath="{folder}/masks"')
    with pytest.raises(UserError, match=r"\[eval\] image_datapath .*HU 0 to 255.*\[train\] shows HU -160 to 240"):
        check_sections(config, ("train", "eval"))


def test_a_real_scan_keeps_its_spleen_of_69_ml(real_data: Path, tmp_path: Path) -> None:
    for kind, file in (("imagesTr", "ct.nii.gz"), ("labelsTr", "labels.nii.gz")):
        (tmp_path / "source" / kind).mkdir(parents=True)
        (tmp_path / "source" / kind / "a.nii.gz").symlink_to(real_data / "amos-0001" / file)
    prepare(tmp_path / "source", tmp_path / "dataset", labels={"spleen": 1}, into="test")
    (row,) = stats(tmp_path / "dataset").rows()
    assert (row["split"], row["slices"], row["slices_with_organ"]) == ("test", 11, 7)
    assert row["organ_ml"] == pytest.approx(69, rel=0.01)
    (mask,) = (tmp_path / "dataset").rglob("masks/10010_a.png")
    assert np.flatnonzero(pixels(mask).any(axis=0)).min() > 768 / 2  # the spleen: patient's left, viewer's right


def test_a_resumed_run_keeps_nothing_of_a_scan_that_has_changed(
    make_cohort, prepare_until_killed, tmp_path: Path
) -> None:
    source, dataset = make_cohort(4), tmp_path / "dataset"
    prepare_until_killed(source, dataset)
    done = {path.stem for path in (dataset / ".prepare/cases").iterdir()}
    for case in done:
        path = source / "labelsTr" / f"{case}.nii.gz"
        nib.save(nib.Nifti1Image(np.ones((24, 20, 6), np.uint8), nib.load(path).affine), path)
    with pytest.raises(UserError, match="has changed since its case was prepared"):
        prepare(source, dataset, resume=True)


def test_a_label_that_no_map_holds_is_said(make_cohort, tmp_path: Path) -> None:
    said = Listener()
    prepare(make_cohort(3), tmp_path / "dataset", labels={"spleen": 1, "liver": 6}, reporter=said)
    assert said.warnings == ["no label map holds liver=6: every mask of it is empty"]


def test_the_key_of_another_dataset_may_lie_in_the_new_folder(make_cohort, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    (dataset / ".patient-key").write_text("00" * 32)
    assert len(prepare(make_cohort(3), dataset).cases) == 3
    assert (dataset / ".patient-key").read_text() == "00" * 32


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"window": (0, float("inf"))}, "the window must be"),
        ({"orientation": "LPX"}, "'LPX' is no orientation"),
        ({"layout": "nnunet", "into": "test"}, "holds training cases only"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(make_cohort, tmp_path: Path, wrong, message) -> None:
    dataset = tmp_path / "Dataset009_Spleen"
    with pytest.raises(UserError, match=message):
        prepare(make_cohort(3), dataset, **wrong)
    assert not dataset.exists()
