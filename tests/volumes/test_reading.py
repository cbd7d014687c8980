"""What a file may hold, and the one clear line that everything else ends in."""

from __future__ import annotations

import gzip
import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spleenseg.errors import UserError
from spleenseg.volumes import read_volume

from .conftest import Save

RAMP = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
Patch = Callable[[Path, int, bytes], Path]


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_volume(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i2", "u2", "<i4", ">f4", "f8", "i8", "u8"])
def test_every_number_type_gives_the_same_int16(dtype: str, save: Save) -> None:
    expected = read_volume(save(RAMP)).array
    image = nib.Nifti1Image(RAMP.astype(dtype), np.diag([-1.0, -1, 2, 1]), dtype=np.dtype(dtype))
    path = save(RAMP).with_name("other.nii.gz")
    nib.save(image, path)
    array = read_volume(path).array
    assert array.dtype == np.int16
    assert np.array_equal(array, expected)


def test_nifti_2_and_big_endian_headers_read_alike(save: Save, tmp_path: Path) -> None:
    expected = read_volume(save(RAMP))
    affine = np.diag([-1.0, -1, 2, 1])
    nib.save(nib.Nifti2Image(RAMP, affine), tmp_path / "two.nii.gz")
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    nib.save(nib.Nifti1Image(RAMP, affine, header), tmp_path / "big.nii")
    for name in ("two.nii.gz", "big.nii"):
        volume = read_volume(tmp_path / name)
        assert np.array_equal(volume.array, expected.array)
        assert np.array_equal(volume.affine, expected.affine)


def test_slope_and_inter_are_applied_and_rounded_half_to_even(save: Save, patch_header: Patch) -> None:
    path = patch_header(save(RAMP, name="scaled.nii"), 112, struct.pack("<2f", 0.5, -1024.0))
    stored = np.asarray(nib.load(path).dataobj.get_unscaled())
    expected = np.rint(stored * 0.5 - 1024).astype(np.int16)
    assert np.array_equal(read_volume(path).array, expected.transpose(2, 1, 0))


def test_a_scaling_that_overflows_is_refused_without_a_warning(save: Save, patch_header: Patch) -> None:
    array = RAMP.astype(np.float64) * 1e300
    path = patch_header(save(array, name="over.nii"), 112, struct.pack("<2f", 1e38, 0.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "NaN or infinity" in refusal(path)


def test_float_hu_round_to_the_nearest(save: Save) -> None:
    array = read_volume(save(np.array([[[-1000.5, -0.5, 0.5, 1.5, 39.6]]], np.float32))).array
    assert array.ravel().tolist() == [-1000, 0, 0, 2, 40]


def test_four_axes_with_one_frame_are_a_volume(save: Save) -> None:
    assert np.array_equal(read_volume(save(RAMP[..., None])).array, read_volume(save(RAMP)).array)


def test_several_frames_are_refused(save: Save) -> None:
    assert "2x3x4x2 holds several frames" in refusal(save(np.stack([RAMP, RAMP], -1)))


def test_two_axes_are_refused(save: Save) -> None:
    assert "three axes" in refusal(save(RAMP[0]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_value_that_is_no_number_is_refused(value: float, dtype: type, save: Save) -> None:
    array = RAMP.astype(dtype)
    array[1, 1, 1] = value
    assert "NaN or infinity" in refusal(save(array))


@pytest.mark.parametrize(
    "array",
    [RAMP.astype(np.int32) + 40000, RAMP.astype(np.float32) - 40000, RAMP.astype(np.uint16) + 65000],
    ids=["int32", "float32", "uint16"],
)
def test_values_that_int16_cannot_hold_are_refused_and_never_wrap(array: np.ndarray, save: Save) -> None:
    assert "must lie in -32768..32767" in refusal(save(array))


@pytest.mark.parametrize("dtype", [[("R", "u1"), ("G", "u1"), ("B", "u1")], "c8"], ids=["rgb", "complex"])
def test_colour_and_complex_values_are_refused(dtype: object, save: Save) -> None:
    assert "colour or complex" in refusal(save(np.zeros((2, 3, 4), np.dtype(dtype))))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_affine_without_extent_is_refused(axis: int, save: Save, patch_header: Patch) -> None:
    path = save(RAMP, name="flat.nii")
    rows = np.diag([-1.0, -1, 2, 1])[:3].copy()
    rows[:, axis] = 0
    assert "not invertible" in refusal(patch_header(path, 280, rows.astype("<f4").tobytes()))


def test_an_affine_with_two_equal_axes_or_nan_is_refused(save: Save, patch_header: Patch) -> None:
    for first in ([0.0, -1, 0], [np.nan, 0, 0]):
        rows = np.diag([-1.0, -1, 2, 1])[:3].copy()
        rows[:, 0] = first
        path = patch_header(save(RAMP, name="equal.nii"), 280, rows.astype("<f4").tobytes())
        assert "not invertible" in refusal(path)


def test_a_file_that_states_no_orientation_is_refused_not_guessed(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(RAMP, None), tmp_path / "none.nii.gz")
    assert "states no orientation" in refusal(tmp_path / "none.nii.gz")


def test_the_qform_is_used_where_there_is_no_sform(tmp_path: Path) -> None:
    image = nib.Nifti1Image(RAMP, None)
    image.set_qform(np.diag([-2.0, -2, 3, 1]), code=1)
    nib.save(image, tmp_path / "q.nii.gz")
    assert read_volume(tmp_path / "q.nii.gz").spacing == pytest.approx((2, 2, 3))


def test_units_of_metres_become_millimetres(save: Save) -> None:
    affine = np.diag([-0.001, -0.001, 0.002, 1])
    assert read_volume(save(RAMP, affine, xyzt_units=1)).spacing == pytest.approx((1, 1, 2))


def test_case_and_patient_come_from_the_file_name(save: Save) -> None:
    volume = read_volume(save(RAMP, name="spleen_10.nii.gz"), modality="CT")
    assert (volume.case, volume.patient, volume.modality) == ("spleen_10", "spleen_10", "CT")
    assert read_volume(save(RAMP, name="a.b.nii")).case == "a.b"


def test_a_missing_file_a_folder_and_another_kind_are_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "nothing.nii.gz")
    (tmp_path / "folder.nii").mkdir()
    assert "not a scan of a kind" in refusal(tmp_path / "folder.nii")
    (tmp_path / "scan.jpg").write_bytes(b"x")
    assert "give NIfTI (.nii, .nii.gz)" in refusal(tmp_path / "scan.jpg")


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_empty_files_and_files_of_something_else_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    assert "empty" in refusal(path)
    path.write_bytes(b"this is a letter to the radiologist " * 40)
    assert "not a NIfTI file" in refusal(path)
    path.write_bytes(gzip.compress(b"short"))
    assert "not a NIfTI file" in refusal(path)


def test_a_gzip_file_cut_anywhere_is_refused(save: Save) -> None:
    rng = np.random.default_rng(0)
    path = save(rng.integers(-1000, 1000, (30, 30, 30), dtype=np.int16))
    content = path.read_bytes()
    for kept in (3, 200, 400, len(content) // 2, len(content) - 12):
        path.write_bytes(content[:kept])
        refusal(path)


def test_an_uncompressed_file_cut_short_is_refused(save: Save) -> None:
    path = save(RAMP, name="cut.nii")
    path.write_bytes(path.read_bytes()[:-1])
    assert "truncated: 399 of 400 bytes" in refusal(path)


def test_a_flipped_bit_in_compressed_data_is_found_by_its_checksum(save: Save) -> None:
    rng = np.random.default_rng(0)
    path = save(rng.integers(-1000, 1000, (30, 30, 30), dtype=np.int16))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "corrupt" in refusal(path)


def test_several_gzip_members_read_as_one(save: Save) -> None:
    path = save(RAMP)
    raw = gzip.decompress(path.read_bytes())
    expected = read_volume(path).array
    path.write_bytes(gzip.compress(raw[:100]) + gzip.compress(raw[100:]))
    assert np.array_equal(read_volume(path).array, expected)


def test_a_header_that_promises_terabytes_costs_no_memory(save: Save, patch_header: Patch) -> None:
    path = patch_header(save(RAMP, name="huge.nii"), 42, struct.pack("<3h", 32767, 32767, 32767))
    assert "truncated" in refusal(path)
    compressed = path.with_name("huge.nii.gz")
    compressed.write_bytes(gzip.compress(path.read_bytes()))
    assert "truncated" in refusal(compressed)


@settings(max_examples=300, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 351), st.integers(0, 255)), min_size=1, max_size=6))
def test_any_header_reads_or_ends_in_one_line(
    changes: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "scan.nii"
    nib.save(nib.Nifti1Image(RAMP, np.diag([-1.0, -1, 2, 1])), path)
    content = bytearray(path.read_bytes())
    for position, value in changes:
        content[position] = value
    path.write_bytes(content)
    try:
        volume = read_volume(path)
    except UserError:
        return
    assert volume.array.dtype == np.int16
    assert np.isfinite(volume.affine).all()


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_wide_numbers_are_read_slice_by_slice_to_the_same_values(tmp_path: Path, ending: str) -> None:
    array = np.random.default_rng(3).integers(-1000, 2000, (7, 6, 5)).astype(np.float64)
    path = tmp_path / f"wide.{ending}"
    nib.save(nib.Nifti1Image(array + 0.25, np.diag([-1.0, -1, 2, 1])), path)
    assert np.array_equal(read_volume(path).array, array.T)


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_wide_numbers_cut_short_are_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"wide.{ending}"
    nib.save(nib.Nifti1Image(np.random.default_rng(3).random((30, 20, 10)), np.eye(4)), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="truncated"):
        read_volume(path)


def test_a_wrong_checksum_of_wide_numbers_is_found(tmp_path: Path) -> None:
    path = tmp_path / "wide.nii.gz"
    nib.save(nib.Nifti1Image(np.random.default_rng(3).random((30, 20, 10)), np.eye(4)), path)
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="corrupt"):
        read_volume(path)
