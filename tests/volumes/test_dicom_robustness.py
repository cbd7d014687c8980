"""Every row of the data folder's README: what each real series is, and what reading it gives."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from spleenseg.errors import UserError
from spleenseg.volumes import list_series, read_labels, read_volume

ROOT = "dicom-robustness"
GENERIC = f"{ROOT}/dicom2nifti/generic"
FAILING = f"{ROOT}/dicom2nifti/failing"

READ = [
    (f"{FAILING}/gantrytilting/001", (4, 512, 512), (0.418, 0.418, 5.0), "CT"),
    (f"{FAILING}/slicecount/001", (256, 256, 2), (1, 1, 1), "MR"),
    (f"{GENERIC}/anatomical/001", (256, 256, 4), (1, 1, 1), "MR"),
    (f"{GENERIC}/anatomical/001_implicit", (256, 256, 4), (1, 1, 1), "MR"),
    (f"{GENERIC}/compressed/001", (256, 256, 4), (1, 1, 1), "MR"),
    (f"{GENERIC}/compressed_j2k/001", (256, 256, 4), (1, 1, 1), "MR"),
    (f"{GENERIC}/compressed_jpeg/001", (256, 256, 4), (1, 1, 1), "MR"),
    (f"{GENERIC}/compressed_jpegls/001", (256, 256, 4), (1, 1, 1), "MR"),
    (f"{GENERIC}/compressed_rle/001", (256, 256, 4), (1, 1, 1), "MR"),
    (f"{ROOT}/dcmqi/23x38x3/image", (3, 38, 23), (0.7, 0.7, 2.5), "CT"),
    (f"{ROOT}/dcmqi/24x38x3/image", (3, 38, 24), (0.7, 0.7, 2.5), "CT"),
    (f"{ROOT}/dcmqi/23x38x3/multiframe/mf.dcm", (3, 38, 23), (0.7, 0.7, 2.5), "CT"),
    (f"{ROOT}/dcmqi/24x38x3/multiframe/mf.dcm", (3, 38, 24), (0.7, 0.7, 2.5), "CT"),
    (f"{ROOT}/dcmqi/ct-3slice", (3, 512, 512), (0.811, 0.811, 1.0), "CT"),
    (f"{ROOT}/pydicom-data/693_J2KR.dcm", (1, 512, 512), (0.4785, 0.4785, 5.0), "CT"),
    (f"{ROOT}/pydicom-data/693_UNCR.dcm", (1, 512, 512), (0.4785, 0.4785, 5.0), "CT"),
    (f"{ROOT}/pydicom-data/bad_sequence.dcm", (1, 512, 512), (0.2871, 0.2871, 1.0), "CT"),
    ("amos-0001/dicom", (11, 768, 768), (0.570, 0.570, 5.0), "CT"),
    ("totalsegmentator-example/dicom", (20, 512, 512), (0.977, 0.977, 2.0), "CT"),
]
REFUSED = [
    (f"{ROOT}/dcm_qa_ct_GE", "uneven"),
    (f"{FAILING}/notavolume/001", "position"),
    (f"{FAILING}/sliceincrement/001", "missing"),
    (f"{FAILING}/sliceincrement/002", "missing"),
    (f"{FAILING}/sliceorientation/001", "orientation"),
    (f"{GENERIC}/rgb/001", "colour"),
    (f"{ROOT}/gstt-aide/rtstructwriter/dcm", "missing"),
    (f"{ROOT}/gstt-aide/dcm2nii/dcm", "missing"),
    (f"{ROOT}/dcmqi/liver.dcm", "segmentation"),
    (f"{ROOT}/pydicom-data/JPEG-LL.dcm", "position"),
    (f"{ROOT}/pydicom-data/JPEG2000_UNC.dcm", "position"),
    (f"{ROOT}/pydicom-data/explicit_VR-UN.dcm", "thickness"),
    (f"{ROOT}/pydicom-data/emri_small_jpeg_2k_lossless_too_short.dcm", "position"),
]
EVENED = [
    (f"{ROOT}/dcm_qa_ct_GE", 37),
    (f"{FAILING}/sliceincrement/001", 5),
    (f"{FAILING}/sliceincrement/002", 5),
    (f"{ROOT}/gstt-aide/dcm2nii/dcm", 4),
]
LOSSLESS = ("compressed", "compressed_j2k", "compressed_jpeg", "compressed_jpegls", "compressed_rle")


def refusal(path: Path, **asked: bool) -> str:
    with pytest.raises(UserError) as caught:
        read_volume(path, **asked)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("name", "shape", "spacing", "modality"), READ, ids=[row[0] for row in READ])
def test_it_reads_to_the_shape_with_the_geometry_of_its_positions(
    name: str, shape: tuple[int, ...], spacing: tuple[float, ...], modality: str, real_data: Path
) -> None:
    volume = read_volume(real_data / name)
    assert volume.array.shape == shape
    assert volume.spacing == pytest.approx(spacing, abs=1e-3)
    assert volume.modality == modality


@pytest.mark.parametrize(("name", "word"), REFUSED, ids=[row[0] for row in REFUSED])
def test_it_is_refused_in_one_line_that_says_why(name: str, word: str, real_data: Path) -> None:
    assert word in refusal(real_data / name)


@pytest.mark.parametrize(("name", "slices"), EVENED, ids=[row[0] for row in EVENED])
def test_gaps_are_interpolated_when_allowed_and_the_volume_says_so(name: str, slices: int, real_data: Path) -> None:
    volume = read_volume(real_data / name, allow_gaps=True)
    assert len(volume.array) == slices
    assert f"interpolated onto {slices} even positions" in volume.notes[0]
    assert " between " in volume.notes[0]


def test_a_slice_whose_pixels_are_cut_off_is_named_and_the_rest_reads(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / ROOT / "gstt-aide/rtstructwriter/dcm"
    assert "CT000100.dcm: truncated" in refusal(folder, allow_gaps=True)
    for file in sorted(folder.iterdir())[:-1]:
        shutil.copy(file, tmp_path / file.name)
    assert read_volume(tmp_path, allow_gaps=True).array.shape == (20, 512, 512)


def test_an_emptied_slice_at_the_end_of_a_series_is_named(real_data: Path, tmp_path: Path) -> None:
    for file in (real_data / "amos-0001/dicom").iterdir():
        shutil.copyfile(file, tmp_path / file.name)
    (tmp_path / "amos_0001_slice0070.dcm").write_bytes(b"")
    assert "amos_0001_slice0070.dcm: no DICOM header" in refusal(tmp_path)


@pytest.mark.parametrize("name", LOSSLESS)
def test_compressed_pixels_are_those_of_the_ground_truth(name: str, real_data: Path) -> None:
    folder = real_data / GENERIC / name
    volume, truth = read_volume(folder / "001"), read_volume(folder / "001_ground_truth.nii.gz")
    assert np.array_equal(volume.array, truth.array)
    np.testing.assert_allclose(volume.affine, truth.affine, atol=1e-3)


def test_a_tilted_gantry_is_one_exact_sheared_affine(real_data: Path) -> None:
    volume = read_volume(real_data / FAILING / "gantrytilting/001")
    columns = volume.affine[:3, :3]
    cosine = float(columns[:, 1] @ columns[:, 2]) / (volume.spacing[1] * volume.spacing[2])
    assert abs(cosine) > 0.2
    across = np.cross(columns[:, 0], columns[:, 1])
    assert abs(columns[:, 2] @ across / np.linalg.norm(across)) == pytest.approx(4.85, abs=0.01)
    assert volume.voxel_ml == pytest.approx(volume.spacing[0] * volume.spacing[1] * 4.85 / 1000, rel=2e-3)


@pytest.mark.parametrize("name", ["23x38x3", "24x38x3"])
def test_a_series_and_its_multi_frame_are_one_volume_and_its_segmentation_lies_on_it(
    name: str, real_data: Path
) -> None:
    folder = real_data / ROOT / "dcmqi" / name
    series, frames = read_volume(folder / "image"), read_volume(folder / "multiframe")
    assert np.array_equal(series.array, frames.array)
    assert np.array_equal(series.affine, frames.affine)
    labels = read_labels(folder / "seg/label.seg", series)
    assert np.array_equal(labels, read_labels(folder / "nrrd/label.nrrd", frames))
    assert labels.any()


@pytest.mark.parametrize(
    ("scan", "name", "voxels"),
    [
        ("ct-3slice", "liver.dcm", 107098),
        ("ct-3slice", "../pydicom-data/liver_j2k.dcm", 107098),
        ("ct-3slice", "../pydicom-data/liver_nonbyte_aligned.dcm", 107098),
        ("24x38x3/image", "sparse-labelmap-noppv.dcm", 630),
        ("24x38x3/image", "sparse-labelmap-ppv5.dcm", 630),
    ],
)
def test_segmentations_of_many_kinds_lie_on_their_scan(scan: str, name: str, voxels: int, real_data: Path) -> None:
    folder = real_data / ROOT / "dcmqi"
    assert np.count_nonzero(read_labels(folder / name, read_volume(folder / scan))) == voxels


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("partial_overlaps.dcm", "segments 1 and 2 overlap"),
        ("24x38x3/seg/label.seg", "another grid"),
        ("../pydicom-data/liver_deflate.dcm", "transfer syntax"),
        ("../pydicom-data/liver_rle.dcm", "unusual"),
    ],
)
def test_segmentations_that_are_no_label_map_of_the_scan_are_refused(name: str, word: str, real_data: Path) -> None:
    folder = real_data / ROOT / "dcmqi"
    with pytest.raises(UserError, match=word):
        read_labels(folder / name, read_volume(folder / "ct-3slice"))


@pytest.mark.parametrize("name", ["eCT_Supplemental.dcm", "bad_sequence.dcm", "liver_rle.dcm", "explicit_VR-UN.dcm"])
def test_odd_single_files_end_in_a_volume_or_in_one_line(name: str, real_data: Path) -> None:
    message = ""
    try:
        assert read_volume(real_data / ROOT / "pydicom-data" / name).array.size
    except UserError as error:
        message = str(error)
    assert "\n" not in message


def test_amos_is_the_same_as_dicom_and_as_nifti_with_69_ml_of_spleen(real_data: Path) -> None:
    folder = real_data / "amos-0001"
    dicom, nifti = read_volume(folder / "dicom"), read_volume(folder / "ct.nii.gz")
    assert np.array_equal(dicom.array, nifti.array)
    np.testing.assert_allclose(dicom.affine, nifti.affine, atol=1e-4)
    for name in ("labels.nii.gz", "label-dicom"):
        for volume in (dicom, nifti):
            spleen = np.count_nonzero(read_labels(folder / name, volume) == 1) * volume.voxel_ml
            assert spleen == pytest.approx(69.0, rel=0.01)


def test_the_totalsegmentator_labels_lie_on_the_spleen_of_the_dicom_series(real_data: Path) -> None:
    folder = real_data / "totalsegmentator-example"
    volume = read_volume(folder / "dicom")
    spleen = read_labels(folder / "example_seg_dicom.nii.gz", volume) == 1
    _, y, x = (axis.mean() for axis in np.nonzero(spleen))
    assert x > 0.6 * volume.array.shape[2]  # the patient's left
    assert y > 0.5 * volume.array.shape[1]  # at the back
    assert 70 < np.median(volume.array[spleen]) < 160  # enhanced parenchyma
    assert (np.abs(volume.array[spleen].astype(int) - 110) < 90).mean() > 0.9  # not shifted into air, fat or bone


def test_a_folder_lists_its_series(real_data: Path) -> None:
    (series,) = list_series(real_data / ROOT / "dcmqi/ct-3slice")
    assert (series.modality, series.slices, series.is_volume) == ("CT", 3, True)
