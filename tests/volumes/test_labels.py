"""Label maps: on the scan's grid or refused; written where the scan came from."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spleenseg.errors import UserError
from spleenseg.volumes import Volume, read_labels, read_volume, write_labels, write_map

from .conftest import Save

SHAPE = (5, 6, 4)
LABELS = (np.arange(120).reshape(SHAPE) % 3).astype(np.uint8)
AFFINE = np.diag([-1.0, -1, 2, 1])


@pytest.fixture
def scan(save: Save) -> Volume:
    return read_volume(save(np.zeros(SHAPE, np.int16), AFFINE))


def refusal(path: Path, like: Volume) -> str:
    with pytest.raises(UserError) as caught:
        read_labels(path, like)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float32, np.float64])
def test_whole_numbers_of_any_type_are_labels(dtype: type, scan: Volume, save: Save) -> None:
    image = nib.Nifti1Image(LABELS.astype(dtype), AFFINE, dtype=dtype)
    path = save(LABELS, name="labels.nii.gz")
    nib.save(image, path)
    read = read_labels(path, scan)
    assert read.dtype == np.uint8
    assert np.array_equal(read, LABELS.transpose(2, 1, 0))


@pytest.mark.parametrize(
    ("values", "word"),
    [
        (LABELS + 0.5, "whole numbers"),
        (np.where(LABELS == 1, np.nan, LABELS), "whole numbers"),
        (LABELS.astype(np.int16) - 1, "-1 to 1"),
        (LABELS.astype(np.int16) * 128, "0 to 256"),
    ],
    ids=["halves", "nan", "negative", "too large"],
)
def test_other_values_are_refused(values: np.ndarray, word: str, scan: Volume, save: Save) -> None:
    assert word in refusal(save(values, name="labels.nii.gz"), scan)


def test_another_shape_is_refused_with_both_shapes(scan: Volume, save: Save) -> None:
    message = refusal(save(LABELS[:, :, :3], AFFINE, name="labels.nii.gz"), scan)
    assert "5x6x3" in message
    assert "5x6x4" in message


@pytest.mark.parametrize("shift", [0.15, 0.5, 40.0])
def test_a_shifted_grid_is_refused_with_the_distance(shift: float, scan: Volume, save: Save) -> None:
    affine = AFFINE.copy()
    affine[0, 3] = shift
    assert f"{shift:.3g} mm" in refusal(save(LABELS, affine, name="labels.nii.gz"), scan)


def test_a_flipped_affine_is_refused(scan: Volume, save: Save) -> None:
    refusal(save(LABELS, np.diag([1.0, -1, 2, 1]), name="labels.nii.gz"), scan)


def test_another_spacing_is_refused(scan: Volume, save: Save) -> None:
    refusal(save(LABELS, np.diag([-1.0, -1, 2.2, 1]), name="labels.nii.gz"), scan)


def test_rounding_of_an_affine_is_tolerated(scan: Volume, save: Save) -> None:
    affine = AFFINE + np.random.default_rng(0).uniform(-1e-3, 1e-3, (4, 4))
    affine[3] = (0, 0, 0, 1)
    assert np.array_equal(read_labels(save(LABELS, affine, name="labels.nii.gz"), scan), LABELS.transpose(2, 1, 0))


def test_labels_in_another_axis_order_land_on_the_same_voxels(scan: Volume, save: Save) -> None:
    turned = nib.Nifti1Image(LABELS, AFFINE).as_reoriented([[2, 1], [0, -1], [1, 1]])
    path = save(np.asarray(turned.dataobj), turned.affine, name="labels.nii.gz")
    assert np.array_equal(read_labels(path, scan), LABELS.transpose(2, 1, 0))


def test_written_labels_are_uint8_on_the_stored_grid_with_sform_only(scan: Volume, tmp_path: Path) -> None:
    write_labels(LABELS.transpose(2, 1, 0), scan, tmp_path / "out" / "labels.nii.gz")
    image = nib.load(tmp_path / "out" / "labels.nii.gz")
    assert image.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(image.dataobj), LABELS)
    assert np.array_equal(image.get_sform(), AFFINE)
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (0, 1)
    assert image.header.get_zooms() == (1, 1, 2)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_the_same_labels_give_the_same_bytes_under_any_name(scan: Volume, tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nii.gz"):
        write_labels(LABELS.transpose(2, 1, 0), scan, tmp_path / name)
    content = (tmp_path / "a.nii.gz").read_bytes()
    assert content == (tmp_path / "b.nii.gz").read_bytes()
    assert content[3:8] == bytes(5)  # no file name, no time


def test_bool_labels_and_plain_nii_are_written(scan: Volume, tmp_path: Path) -> None:
    write_labels(LABELS.transpose(2, 1, 0) == 2, scan, tmp_path / "labels.nii")
    assert np.array_equal(read_labels(tmp_path / "labels.nii", scan), LABELS.transpose(2, 1, 0) == 2)


def test_a_failed_write_leaves_the_old_file_and_no_other(scan: Volume, tmp_path: Path) -> None:
    target = tmp_path / "out" / "labels.nii.gz"
    write_labels(LABELS.transpose(2, 1, 0), scan, target)
    before = target.read_bytes()
    with pytest.raises(ValueError, match="shape"):
        write_labels(LABELS, scan, target)
    with pytest.raises(ValueError, match="whole numbers"):
        write_labels(LABELS.transpose(2, 1, 0).astype(np.int16) - 1, scan, target)
    with pytest.raises(ValueError, match="shape"):
        write_map(LABELS.astype(np.float32), scan, target)
    assert target.read_bytes() == before
    assert list(target.parent.iterdir()) == [target]


def test_a_name_with_another_ending_is_refused(scan: Volume, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ends in \.nii\.gz or \.nii"):
        write_labels(LABELS.transpose(2, 1, 0), scan, tmp_path / "labels.png")
