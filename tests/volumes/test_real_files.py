"""Real scans read as the data folder's README says."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spleenseg.errors import UserError
from spleenseg.volumes import read_labels, read_volume, write_labels


def test_the_amos_slab_holds_69_ml_of_spleen_on_the_left_and_returns_bit_exact(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "amos-0001"
    volume = read_volume(folder / "ct.nii.gz", modality="CT")
    labels = read_labels(folder / "labels.nii.gz", volume)
    assert volume.array.shape == (11, 768, 768)
    assert volume.spacing == pytest.approx((0.57, 0.57, 5.0), abs=0.001)
    assert (labels == 1).sum() * volume.voxel_ml == pytest.approx(69.0, rel=0.01)
    _, y, x = (axis.mean() for axis in np.nonzero(labels == 1))
    assert x > 768 / 2  # the spleen: on the patient's left, which is the viewer's right
    assert y > 768 / 2  # and at the back
    write_labels(labels, volume, tmp_path / "again.nii.gz")
    source, again = nib.load(folder / "labels.nii.gz"), nib.load(tmp_path / "again.nii.gz")
    assert np.array_equal(np.asarray(again.dataobj), np.asarray(source.dataobj))
    assert np.array_equal(again.affine, source.affine)


def test_a_label_map_of_a_crop_is_not_taken_for_one_of_the_whole(real_data: Path) -> None:
    folder = real_data / "totalsegmentator-example"
    with pytest.raises(UserError, match=r"122x101x30 voxels .* against 122x101x112"):
        read_labels(folder / "example_seg.nii.gz", read_volume(folder / "example_ct.nii.gz"))
    cropped = read_volume(folder / "example_ct_sm.nii.gz")
    assert (read_labels(folder / "example_seg.nii.gz", cropped) == 1).any()


EVERY_REAL_VOLUME = [
    "amos-0001/ct.nii.gz",
    "totalsegmentator-example/example_ct.nii.gz",
    "totalsegmentator-example/example_seg_dicom.nii.gz",
    "nifti-oddities/nibabel/anatomical.nii",
    "nifti-oddities/nibabel/reoriented_anat_moved.nii",
    "nifti-oddities/nibabel/standard.nii.gz",
    "nifti-oddities/niivue/CT_AVM.nii.gz",
    "nifti-oddities/niivue/CT_pitch.nii.gz",
    "dicom-robustness/dicom2nifti/generic/anatomical/002_non_isotropic_ground_truth.nii.gz",
]


@pytest.mark.parametrize("name", EVERY_REAL_VOLUME)
def test_values_and_places_agree_with_nibabel(name: str, real_data: Path) -> None:
    volume = read_volume(real_data / name)
    image = nib.load(real_data / name)
    values = np.rint(image.get_fdata())
    to_stored = np.linalg.inv(image.affine) @ volume.affine
    rng = np.random.default_rng(0)
    zyx = np.stack([rng.integers(0, length, 500) for length in volume.array.shape], -1)
    stored = nib.affines.apply_affine(to_stored, zyx[:, ::-1])
    assert np.abs(stored - np.rint(stored)).max() < 1e-6
    i, j, k = np.rint(stored).astype(int).T
    assert np.array_equal(volume.array[tuple(zyx.T)], values[i, j, k])
    assert nib.aff2axcodes(volume.affine) == ("L", "P", "S")


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("nibabel/example4d.nii.gz", "several frames"),
        ("nibabel/example_nifti2.nii.gz", "several frames"),
        ("nibabel/functional.nii", "several frames"),
        ("nibabel/resampled_anat_moved.nii", "NaN"),
    ],
)
def test_what_is_no_volume_of_hu_is_refused(name: str, word: str, real_data: Path) -> None:
    with pytest.raises(UserError, match=word):
        read_volume(real_data / "nifti-oddities" / name)
