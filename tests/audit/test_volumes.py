"""Faults planted in a synthetic cohort are found, each for what it is; clean and real scans pass."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from tests.audit.conftest import CASES, Cohort

from spleenseg.audit import Report, check
from spleenseg.datasets.prepare import prepare
from spleenseg.errors import UserError
from spleenseg.phantom import write_cohort


def errors(report: Report) -> set[tuple[str, str]]:
    return {(found.case, found.kind) for found in report.findings if found.severity == "error"}


def case(number: int) -> str:
    return f"phantom_{number:03d}"


def test_a_clean_cohort_has_no_finding_and_every_axis_agrees(clean: Path) -> None:
    report = check(clean)
    assert report.findings == ()
    assert report.cases == CASES
    assert [row["contradicts"] for row in report.orientation_rows()] == [0, 0, 0]
    assert sum(verdict.verdict == "agrees" for verdict in report.orientation) == 3 * CASES


@pytest.mark.full
def test_fifty_clean_patients_cry_no_wolf(tmp_path: Path) -> None:
    report = check(write_cohort(tmp_path / "fifty", 50, 2024, size=128, unlabelled=1))
    assert report.count("error") == report.count("warning") == 0
    assert {found.kind for found in report.findings} <= {"empty"}  # the share without a spleen
    assert sum(verdict.verdict == "agrees" for verdict in report.orientation) >= 0.98 * 150
    assert not any(verdict.verdict == "contradicts" for verdict in report.orientation)


def _swap_left_right(cohort: Cohort) -> None:
    cohort.flip(2, 2)


def _turn_front_to_back(cohort: Cohort) -> None:
    cohort.flip(2, 1)


def _turn_upside_down(cohort: Cohort) -> None:
    cohort.flip(2, 0)


def _shift_label(cohort: Cohort) -> None:
    cohort.change(cohort.labels(2), lambda voxels: np.roll(voxels, (4, -4), (0, 1)))


def _shift_label_up(cohort: Cohort) -> None:
    cohort.change(cohort.labels(2), lambda voxels: np.roll(voxels, 5, 2))


def _eight_bits(cohort: Cohort) -> None:
    cohort.change(cohort.image(2), lambda voxels: np.clip((voxels + 160.0) * 255 / 400, 0, 255))


def _raw_values(cohort: Cohort) -> None:
    cohort.change(cohort.image(2), lambda voxels: voxels + 1024)


def _truncate(cohort: Cohort) -> None:
    content = cohort.image(2).read_bytes()
    cohort.image(2).write_bytes(content[: len(content) // 2])


def _truncate_labels(cohort: Cohort) -> None:
    content = cohort.labels(2).read_bytes()
    cohort.labels(2).write_bytes(content[: len(content) // 2])


def _wrong_value(cohort: Cohort) -> None:
    cohort.change(cohort.labels(2), lambda voxels: voxels * 3)


def _few_wrong_voxels(cohort: Cohort) -> None:
    def spoil(voxels: np.ndarray) -> np.ndarray:
        spoilt = voxels.copy()
        spoilt[0, 0, 0] = 7
        return spoilt

    cohort.change(cohort.labels(2), spoil)


def _wrong_affine(cohort: Cohort) -> None:
    moved = cohort.affine(2).copy()
    moved[2, 3] += 20
    cohort.change(cohort.labels(2), lambda voxels: voxels, affine=moved)


def _cropped_label(cohort: Cohort) -> None:
    cohort.change(cohort.labels(2), lambda voxels: voxels[:, :, 3:])


def _not_a_number(cohort: Cohort) -> None:
    image = nib.load(cohort.image(2))
    voxels = np.asarray(image.dataobj).astype(np.float32)
    voxels[3, 3, 3] = np.nan
    nib.save(nib.Nifti1Image(voxels, image.affine), cohort.image(2))


@pytest.mark.parametrize(
    ("plant", "kind"),
    [
        (_swap_left_right, "orientation"),
        (_turn_front_to_back, "orientation"),
        (_turn_upside_down, "orientation"),
        (_shift_label, "shifted"),
        (_shift_label_up, "shifted"),
        (_eight_bits, "hu"),
        (_raw_values, "hu"),
        (_truncate, "unreadable"),
        (_truncate_labels, "unreadable"),
        (_not_a_number, "unreadable"),
        (_wrong_value, "labels"),
        (_few_wrong_voxels, "labels"),
        (_wrong_affine, "grid"),
        (_cropped_label, "grid"),
    ],
)
def test_a_planted_fault_is_found_in_its_case_alone(cohort: Cohort, plant: Callable[[Cohort], None], kind: str) -> None:
    plant(cohort)
    for number in range(4, CASES + 1):  # three patients suffice
        cohort.image(number).unlink()
        cohort.labels(number).unlink()
    (cohort.folder / "dataset.json").write_text(json.dumps(_description(3)))
    assert errors(check(cohort.folder)) == {(case(2), kind)}


def _description(cases: int) -> dict[str, object]:
    entries = [{key: f"./{kind}/{case(n)}.nii.gz" for key, kind in _KINDS.items()} for n in range(1, cases + 1)]
    return {
        "name": "Spleen",
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "spleen"},
        "training": entries,
    }


_KINDS = {"image": "imagesTr", "label": "labelsTr"}


def test_a_mirrored_scan_is_found_by_the_liver_too_where_no_label_tells(cohort: Cohort, tmp_path: Path) -> None:
    cohort.flip(2, 2)
    folder = tmp_path / "scans"
    folder.mkdir()
    shutil.copy(cohort.image(2), folder / "a.nii.gz")
    assert errors(check(folder)) == {("a", "orientation")}


def test_a_declared_orientation_is_judged_in_place_of_the_stated_one(clean: Path, tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    shutil.copy(clean / "imagesTr" / f"{case(1)}.nii.gz", folder)
    stated = "".join(nib.aff2axcodes(nib.load(folder / f"{case(1)}.nii.gz").affine))
    mirrored = stated.translate(str.maketrans("LR", "RL"))
    assert errors(check(folder, orientation=stated)) == set()
    assert errors(check(folder, orientation=mirrored)) == {(case(1), "orientation")}


def test_a_slab_of_a_few_slices_is_uncertain_about_up_and_down(clean: Path, tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    image = nib.load(clean / "imagesTr" / f"{case(1)}.nii.gz")
    nib.save(image.slicer[:, :, 10:18], folder / "slab.nii.gz")
    report = check(folder)
    assert errors(report) == set()
    assert {verdict.axis: verdict.verdict for verdict in report.orientation}["up-down"] == "uncertain"


def test_a_scan_under_two_names_is_found_even_with_noise(cohort: Cohort) -> None:
    scans = cohort.folder / "imagesTr"
    shutil.copy(cohort.image(1), scans / "exact.nii.gz")
    shutil.copy(cohort.image(2), scans / "noisy.nii.gz")
    rng = np.random.default_rng(0)
    cohort.change(scans / "noisy.nii.gz", lambda voxels: voxels + rng.normal(0, 15, voxels.shape))
    report = check(scans)
    assert {kind for _, kind in errors(report)} == {"duplicate"}
    assert {name for name, _ in errors(report)} == {"phantom_001", "phantom_002"}


def test_a_crop_with_the_affine_of_the_whole_is_found(cohort: Cohort) -> None:
    scans = cohort.folder / "imagesTr"
    image = nib.load(cohort.image(1))
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[:, :, 20:40], image.affine), scans / "phantom_001_crop.nii.gz")
    found = next(found for found in check(scans).findings if found.severity == "error")
    assert (found.case, found.kind) == ("phantom_001_crop", "grid")
    assert "mm away" in found.message


def test_an_odd_spacing_is_a_warning(cohort: Cohort) -> None:
    affine = cohort.affine(2) @ np.diag([1, 1, 0.001, 1])
    for path in (cohort.image(2), cohort.labels(2)):
        cohort.change(path, lambda voxels: voxels, affine=affine)
    found = [found for found in check(cohort.folder, quick=True).findings if found.kind == "spacing"]
    assert [(found.case, found.severity) for found in found] == [(case(2), "warning")]


def test_an_empty_label_map_is_a_note_and_only_empty_ones_an_error(cohort: Cohort) -> None:
    cohort.change(cohort.labels(1), lambda voxels: voxels * 0)
    report = check(cohort.folder, quick=True)
    assert [(found.case, found.severity) for found in report.findings] == [(case(1), "note")]
    for number in range(2, CASES + 1):
        cohort.change(cohort.labels(number), lambda voxels: voxels * 0)
    assert errors(check(cohort.folder, quick=True)) == {("cohort", "empty")}


def test_a_lone_label_map_is_named_and_the_rest_is_checked(cohort: Cohort) -> None:
    (cohort.folder / "dataset.json").unlink()
    cohort.image(3).unlink()
    _wrong_value(cohort)
    report = check(cohort.folder, quick=True)
    assert ("cohort", "layout") in errors(report)
    assert report.cases == CASES - 1


def test_a_patient_in_two_splits_of_a_volume_dataset_is_found(cohort: Cohort, tmp_path: Path) -> None:
    dataset = tmp_path / "volumes"
    prepare(cohort.folder, dataset, layout="volumes")
    assert check(dataset).findings == ()
    manifest = json.loads((dataset / "manifest.json").read_text())
    here, there = (
        next(name for name, row in manifest["cases"].items() if row["split"] == s) for s in ("train", "test")
    )
    shutil.copy(dataset / "cases" / f"{here}.npy", dataset / "cases" / f"{there}.npy")
    shutil.copy(dataset / "labels" / f"{here}.npy", dataset / "labels" / f"{there}.npy")
    assert "leak" in {kind for _, kind in errors(check(dataset))}
    manifest["cases"][there]["patient"] = manifest["cases"][here]["patient"]
    (dataset / "manifest.json").write_text(json.dumps(manifest))
    assert "leak" in {kind for _, kind in errors(check(dataset, quick=True))}


def test_a_folder_without_scans_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no CT"):
        check(tmp_path)
    with pytest.raises(UserError, match="not a folder"):
        check(tmp_path / "nowhere")


def test_the_real_slab_is_read_as_it_lies_and_no_finding_is_made_up(real_data: Path, tmp_path: Path) -> None:
    for name in ("ct.nii.gz", "labels.nii.gz"):
        shutil.copy(real_data / "amos-0001" / name, tmp_path)
    report = check(tmp_path, labels={"spleen": 1} | {f"other_{value}": value for value in range(2, 14)})
    assert report.findings == ()
    verdicts = {verdict.axis: verdict.verdict for verdict in report.orientation}
    assert verdicts == {"left-right": "agrees", "front-back": "agrees", "up-down": "uncertain"}


def test_the_real_crop_with_the_wrong_affine_is_found(real_data: Path) -> None:
    report = check(real_data / "totalsegmentator-example")
    assert errors(report) == {("example_ct", "grid"), ("example_ct_sm", "grid")}
    assert not any(verdict.verdict == "contradicts" for verdict in report.orientation)
    assert sum(verdict.verdict == "agrees" for verdict in report.orientation) >= 6


@pytest.mark.parametrize("flipped", [0, 1, 2])
def test_the_real_abdomen_turned_around_contradicts_on_that_axis_alone(
    real_data: Path, tmp_path: Path, flipped: int
) -> None:
    image = nib.load(real_data / "totalsegmentator-example" / "example_ct.nii.gz")
    voxels = np.flip(np.asarray(image.dataobj), flipped)
    nib.save(nib.Nifti1Image(voxels.astype(np.int16), image.affine), tmp_path / "turned.nii.gz")
    wrong = [verdict.axis for verdict in check(tmp_path).orientation if verdict.verdict == "contradicts"]
    assert wrong == [("left-right", "front-back", "up-down")[flipped]]
