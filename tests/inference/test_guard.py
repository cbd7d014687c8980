from __future__ import annotations

import csv
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spleenseg.errors import UserError
from spleenseg.inference.guard import guarded
from spleenseg.inference.reading import Reading, read_ct
from spleenseg.inference.scans import Scan
from spleenseg.inference.segment import segment
from spleenseg.inference.stated_axes import with_doubts
from spleenseg.phantom import make_patient
from spleenseg.volumes import Volume, read_volume, write_volume

from .runs import brightness_run, write_scan

ABDOMEN = (
    "amos-0001/ct.nii.gz",
    "amos-0001/dicom",
    "totalsegmentator-example/example_ct.nii.gz",
    "totalsegmentator-example/example_ct_sm.nii.gz",
    "totalsegmentator-example/dicom",
    "dicom-robustness/dcmqi/ct-3slice",
    "dicom-robustness/gstt-aide/dcm2nii/nii/ct-test-data.nii.gz",
)
GENERIC, FAILING = "dicom-robustness/dicom2nifti/generic", "dicom-robustness/dicom2nifti/failing"
PACKED = ("compressed", "compressed_rle", "compressed_jpeg", "compressed_jpegls", "compressed_j2k")
HEADS = (
    "dicom-robustness/dcm_qa_ct_GE",
    "dicom-robustness/pydicom-data/693_UNCR.dcm",
    "nifti-oddities/niivue/CT_AVM.nii.gz",
    "nifti-oddities/niivue/CT_pitch.nii.gz",
)
MR = (
    *(f"{GENERIC}/{name}/001" for name in (*PACKED, "rgb", "anatomical")),
    *(f"{GENERIC}/{name}/001_ground_truth.nii.gz" for name in (*PACKED, "rgb", "anatomical")),
    *(f"{GENERIC}/{name}/001_ground_truth_reoriented.nii.gz" for name in (*PACKED, "rgb", "anatomical")),
    *(f"{GENERIC}/anatomical/{name}" for name in ("001_implicit", "002_non_isotropic")),
    *(f"{GENERIC}/anatomical/{name}_ground_truth.nii.gz" for name in ("001_implicit", "002_non_isotropic")),
    *(f"{GENERIC}/anatomical/{name}_ground_truth_reoriented.nii.gz" for name in ("001_implicit", "002_non_isotropic")),
    f"{FAILING}/slicecount/001",
    f"{FAILING}/slicecount/001_ground_truth.nii.gz",
    f"{FAILING}/slicecount/001_ground_truth_reoriented.nii.gz",
    f"{FAILING}/sliceorientation/001",
    "dicom-robustness/pydicom-data/emri_small_jpeg_2k_lossless_too_short.dcm",
)
NO_SCAN_OF_A_BODY = (
    f"{FAILING}/gantrytilting/001",  # blanked
    f"{FAILING}/sliceincrement/001",
    f"{FAILING}/sliceincrement/002",
    "dicom-robustness/dcmqi/23x38x3/image",  # labels as CT
    "dicom-robustness/dcmqi/24x38x3/image",
)


def read(path: Path) -> Volume:
    return read_ct(Scan(path, "case"), Reading(allow_gaps=path.is_dir()))


def trunk(shape: tuple[int, int, int] = (8, 100, 100), spacing: tuple[float, float, float] = (4, 4, 5)) -> Volume:
    """Return an ellipse of soft tissue in a ring of fat, with a spine."""
    y, x = np.mgrid[-1 : 1 : shape[1] * 1j, -1 : 1 : shape[2] * 1j]
    hu = np.full(shape, -1000, np.int16)
    hu[:, (x / 0.85) ** 2 + (y / 0.65) ** 2 < 1] = -100
    hu[:, (x / 0.75) ** 2 + (y / 0.55) ** 2 < 1] = 60
    hu[:, (x / 0.1) ** 2 + ((y - 0.35) / 0.1) ** 2 < 1] = 500
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    return Volume.from_stored(np.ascontiguousarray(hu.transpose(2, 1, 0)), affine, case="trunk")


@pytest.mark.parametrize("name", ABDOMEN)
def test_a_real_ct_of_a_trunk_passes_without_a_word(name: str, real_data: Path) -> None:
    assert not read(real_data / name).notes


@pytest.mark.parametrize("name", [*HEADS, *MR, *NO_SCAN_OF_A_BODY])
def test_heads_and_mr_are_refused(name: str, real_data: Path) -> None:
    assert (real_data / name).exists()
    with pytest.raises(UserError):
        read(real_data / name)


def test_every_volume_that_came_with_nibabel_is_refused_or_flagged(real_data: Path) -> None:
    files = sorted((real_data / "nifti-oddities" / "nibabel").iterdir())
    assert len(files) >= 10
    for path in files:
        try:
            volume = read(path)
        except UserError:
            continue
        assert any("values only from 0 to 255" in note for note in volume.notes), path


def test_the_reason_is_in_words_and_names_the_way_round(real_data: Path) -> None:
    for name, words in (("dcm_qa_ct_GE", "looks like a head"), ("pydicom-data/693_UNCR.dcm", "looks like a head")):
        with pytest.raises(UserError, match=rf"{words}.*--force"):
            read(real_data / "dicom-robustness" / name)
    with pytest.raises(UserError, match="no HU of a CT"):
        read(real_data / "nifti-oddities" / "niivue" / "CT_AVM.nii.gz")


@pytest.mark.parametrize("seed", range(2))
def test_phantoms_pass_without_a_word(seed: int) -> None:
    made = make_patient(seed, 64, slices=12)
    x, y, z = made.spacing
    stored = np.ascontiguousarray(made.hu.transpose(2, 1, 0))
    assert not guarded(Volume.from_stored(stored, np.diag([-x, -y, z, 1.0]), case="p")).notes


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda hu: hu + np.int16(1024), id="without its offset"),
        pytest.param(lambda hu: ((hu.astype(int) + 1000) * 255 // 1500).astype(np.int16), id="a picture of 8 bits"),
        pytest.param(lambda hu: np.abs(hu.astype(int) * 40).clip(0, 32000).astype(np.int16), id="as MR"),
        pytest.param(lambda hu: np.full_like(hu, -1000), id="air"),
        pytest.param(lambda hu: hu * 0, id="nothing"),
    ],
)
def test_what_is_no_hu_is_refused_and_force_notes_it(change) -> None:
    odd = replace(trunk(), array=change(trunk().array))
    with pytest.raises(UserError, match="--force"):
        guarded(odd)
    (note,) = guarded(odd, force=True).notes
    assert note.startswith("segmented by --force")


@pytest.mark.parametrize(
    ("volume", "word"),
    [
        (replace(trunk(), array=trunk().array.clip(0, 255)), "clipped"),
        (replace(trunk(), array=trunk().array.clip(-160, 240)), "clipped"),
        (replace(trunk(), array=trunk().array[:, 40:80, 30:75]), "cropped"),
        (replace(trunk(), array=trunk().array[:, 5:25, 40:60]), "too little to tell"),
        (trunk(spacing=(2, 2, 5)), "no abdomen of an adult"),
    ],
)
def test_what_may_be_right_is_flagged(volume: Volume, word: str) -> None:
    assert any(word in note for note in guarded(volume).notes)
    assert not guarded(trunk()).notes


def test_a_small_body_with_a_thick_ring_of_bone_is_a_head() -> None:
    head = trunk(spacing=(2.2, 2.6, 5))
    hu = head.array.copy()
    hu[hu == -100] = 900
    with pytest.raises(UserError, match="head"):
        guarded(replace(head, array=hu))


def test_a_large_scan_takes_a_moment() -> None:
    volume = trunk((100, 512, 512), (0.8, 0.8, 3))
    started = time.process_time()
    guarded(volume)
    assert time.process_time() - started < 0.1


def test_a_flag_stands_in_volumes_csv_and_a_refused_scan_leaves_no_mask(tmp_path: Path) -> None:
    pytest.importorskip("keras")
    model = brightness_run(tmp_path / "run")
    write_scan(tmp_path / "scans" / "clipped.nii.gz", trunk((2, 60, 60)).array.clip(0, 255), (7.0, 7.0, 3.0))
    write_scan(tmp_path / "scans" / "offset.nii.gz", trunk((2, 60, 60)).array + np.int16(1024), (7.0, 7.0, 3.0))
    summary = segment([tmp_path / "scans"], tmp_path / "out", model)
    assert [scan.status for scan in summary.scans] == ["done", "failed"]
    with (tmp_path / "out" / "volumes.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert "clipped CT" in row["notes"]
    assert not (tmp_path / "out" / "offset.nii.gz").exists()
    forced = segment([tmp_path / "scans"], tmp_path / "again", model, reading=Reading(force=True))
    assert not forced.failed


def test_force_is_part_of_what_a_result_depends_on(real_data: Path) -> None:
    assert Reading(force=True).asked() != Reading().asked()
    head = real_data / "nifti-oddities" / "niivue" / "CT_AVM.nii.gz"
    volume = read_ct(Scan(head, "case"), Reading(force=True))
    assert (volume.array == read_volume(head).array).all()


def padded(volume: Volume, hu: int = -2000) -> Volume:
    """Return a scan whose corners, outside of the scanner's circle, hold `hu`."""
    y, x = np.mgrid[-1 : 1 : volume.array.shape[1] * 1j, -1 : 1 : volume.array.shape[2] * 1j]
    return replace(volume, array=np.where(x**2 + y**2 > 1, np.int16(hu), volume.array))


@pytest.mark.parametrize("low", [0, -60])
def test_padding_and_a_few_low_values_do_not_hide_a_lack_of_offset(low: int) -> None:
    raw = trunk().array + np.int16(1024)
    raw[0, :2, 50] = low
    with pytest.raises(UserError, match=r"no HU of a CT|values, .* are no HU"):
        guarded(padded(replace(trunk(), array=raw)))
    assert not guarded(padded(trunk())).notes


def test_real_ct_without_its_offset_is_refused_with_padding_too(real_data: Path) -> None:
    for name in ("totalsegmentator-example/example_ct.nii.gz", "amos-0001/ct.nii.gz"):
        volume = read_volume(real_data / name)
        with pytest.raises(UserError, match="without its offset"):
            guarded(padded(replace(volume, array=volume.array.clip(-1024) + np.int16(1024))))


@pytest.mark.parametrize("window", [(-160, 240), (-150, 250), (-40, 400), (0, 255)])
def test_clipped_windows_are_taken_as_ever(window: tuple[int, int]) -> None:
    assert any("clipped" in note for note in guarded(replace(trunk(), array=trunk().array.clip(*window))).notes)


def turned(volume: Volume, *axes: int) -> Volume:
    return replace(volume, array=np.ascontiguousarray(np.flip(volume.array, axes)))


@pytest.mark.parametrize(
    ("axis", "said", "code"), [(2, "left-right", "RPS"), (1, "front-back", "LAS"), (0, "up-down", "LPI")]
)
def test_an_axis_that_the_image_contradicts_is_noted_with_the_way_to_state_it(axis: int, said: str, code: str) -> None:
    made = make_patient(1, 64, slices=48)
    x, y, z = made.spacing
    stored = np.ascontiguousarray(made.hu.transpose(2, 1, 0))
    right = Volume.from_stored(stored, np.diag([-x, -y, z, 1.0]), case="p")
    assert not with_doubts(right).notes
    (note,) = with_doubts(turned(right, axis)).notes
    assert note.startswith(said)
    assert note.endswith(f"--orientation {code}")


def test_a_real_scan_turned_around_is_noted_and_what_is_named_mends_it(real_data: Path, tmp_path: Path) -> None:
    volume = read_volume(real_data / "totalsegmentator-example" / "example_ct.nii.gz")
    write_volume(turned(volume, 2), tmp_path / "mirrored.nii.gz")
    scan = Scan(tmp_path / "mirrored.nii.gz", "case")
    (note,) = read_ct(scan, Reading()).notes
    assert "left-right may be the wrong way round" in note
    mended = read_ct(scan, Reading(orientation=note.split()[-1]))
    assert (mended.array == volume.array).all()
    assert not any("wrong way round" in said for said in mended.notes)
