"""A small synthetic cohort, made once, and copies of it to plant faults in."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from spleenseg.phantom import write_cohort
from spleenseg.volumes import read_volume, write_volume

CASES, SEED = 6, 7


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six patients with a spleen, 96 x 96 pixels, in the MSD layout; not to be written to."""
    folder = tmp_path_factory.mktemp("cohorts") / "clean"
    return write_cohort(folder, CASES, SEED, size=96, slices=48, splenectomy=0, unlabelled=1, threads=1)


@dataclass(frozen=True)
class Cohort:
    """A copy of the cohort, and ways to spoil a case of it."""

    folder: Path

    def image(self, number: int) -> Path:
        return self.folder / "imagesTr" / f"phantom_{number:03d}.nii.gz"

    def labels(self, number: int) -> Path:
        return self.folder / "labelsTr" / f"phantom_{number:03d}.nii.gz"

    def change(self, path: Path, work: Callable[[Any], Any], affine: Any = None) -> None:
        """Replace the voxels [i, j, k] of a file, and its affine if one is given."""
        image = nib.load(path)
        voxels = np.asarray(image.dataobj)
        changed = np.ascontiguousarray(work(voxels)).astype(voxels.dtype)
        nib.save(nib.Nifti1Image(changed, image.affine if affine is None else affine), path)

    def flip(self, number: int, axis: int) -> None:
        """Turn scan and labels around along an array axis: 2 left-right, 1 front-back, 0 up-down."""
        for path in (self.image(number), self.labels(number)):
            volume = read_volume(path)
            volume.array[:] = np.flip(volume.array, axis).copy()
            write_volume(volume, path)

    def affine(self, number: int) -> Any:
        return nib.load(self.image(number)).affine


@pytest.fixture
def cohort(clean: Path, tmp_path: Path) -> Cohort:
    folder = tmp_path / "cohort"
    shutil.copytree(clean, folder)
    return Cohort(folder)
