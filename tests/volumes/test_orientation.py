"""Any axis order, any affine: the array turns, the world stays."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from spleenseg.volumes import read_labels, read_volume, write_labels, write_map, write_volume

AXIS_ORDERS = [
    tuple(names)
    for order in permutations(("LR", "PA", "SI"))
    for names in product(*order)
]  # fmt: skip


def affine_of(codes: tuple[str, ...], zooms: tuple[float, float, float] = (0.7, 0.9, 2.5)) -> NDArray[np.float64]:
    turn = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt(codes), [[0, 1], [1, 1], [2, 1]])
    affine = np.zeros((4, 4))
    for axis, (world, sign) in enumerate(turn):
        affine[int(world), axis] = sign * zooms[axis]
    affine[:, 3] = (-31.5, 17.25, 880.0, 1)
    return affine


def random_rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.sign(np.diag(r))


@pytest.mark.parametrize("codes", AXIS_ORDERS, ids="".join)
def test_every_axis_order_reads_to_left_posterior_superior_and_returns_bit_exact(
    codes: tuple[str, ...], tmp_path: Path
) -> None:
    rng = np.random.default_rng(AXIS_ORDERS.index(codes))
    stored = rng.integers(-1024, 3000, (3, 4, 5), dtype=np.int16)
    source = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(stored, affine_of(codes)), source)

    volume = read_volume(source)
    assert nib.aff2axcodes(volume.affine) == ("L", "P", "S")
    write_volume(volume, tmp_path / "again.nii.gz")
    again = nib.load(tmp_path / "again.nii.gz")
    assert np.array_equal(np.asarray(again.dataobj), stored)
    assert np.array_equal(again.affine, nib.load(source).affine)

    labels = (volume.array > 500).astype(np.uint8)
    write_labels(labels, volume, tmp_path / "labels.nii.gz")
    assert np.array_equal(np.asarray(nib.load(tmp_path / "labels.nii.gz").dataobj), stored > 500)
    assert np.array_equal(read_labels(tmp_path / "labels.nii.gz", volume), labels)


def test_there_are_48_axis_orders() -> None:
    assert len(set(AXIS_ORDERS)) == 48


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6)),
    shear=st.floats(0, 0.4),
)
def test_every_voxel_keeps_its_place_in_the_world_under_oblique_and_sheared_affines(
    seed: int, shape: tuple[int, int, int], shear: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("oblique")
    rng = np.random.default_rng(seed)
    stored = rng.permutation(int(np.prod(shape))).reshape(shape).astype(np.int16)
    affine = np.eye(4)
    tilt = np.array([[1, 0, 0], [0, 1, shear], [0, 0, 1]])
    affine[:3, :3] = random_rotation(rng) @ tilt @ np.diag(rng.uniform(0.4, 6, 3))
    affine[:3, 3] = rng.uniform(-900, 900, 3)
    nib.save(nib.Nifti1Image(stored, affine), folder / "scan.nii")

    volume = read_volume(folder / "scan.nii")
    reference = nib.load(folder / "scan.nii")
    ijk = np.argsort(stored.ravel())  # where each value is
    stored_world = nib.affines.apply_affine(reference.affine, np.stack(np.unravel_index(ijk, shape), -1))
    zyx = np.stack(np.unravel_index(np.argsort(volume.array.ravel()), volume.array.shape), -1)
    ours_world = nib.affines.apply_affine(volume.affine, zyx[:, ::-1])
    np.testing.assert_allclose(ours_world, stored_world, atol=1e-9)
    assert sorted(volume.spacing) == pytest.approx(sorted(nib.affines.voxel_sizes(reference.affine)))
    assert volume.voxel_ml == pytest.approx(abs(np.linalg.det(reference.affine)) / 1000)

    write_map(volume.array.astype(np.float32) / 7, volume, folder / "map.nii.gz")
    written = nib.load(folder / "map.nii.gz")
    assert np.array_equal(np.asarray(written.dataobj), stored.astype(np.float32) / np.float32(7))
    np.testing.assert_allclose(written.affine, reference.affine, atol=1e-4)


def test_a_turned_scan_is_shown_radiologically(tmp_path: Path) -> None:
    """A voxel on the patient's left, at the back, at the top lies last on all three axes."""
    stored = np.zeros((4, 5, 6), np.int16)
    stored[0, 0, 5] = 100  # RAS: smallest x is left, smallest y is posterior, largest z is superior
    nib.save(nib.Nifti1Image(stored, np.diag([1.0, 1, 1, 1])), tmp_path / "ras.nii")
    volume = read_volume(tmp_path / "ras.nii")
    assert volume.array.shape == (6, 5, 4)
    assert volume.array[-1, -1, -1] == 100
    assert volume.array.flags.c_contiguous
