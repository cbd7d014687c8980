"""Small NIfTI files of every kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Return `save(array, affine=..., name=..., **header fields) -> path`."""

    def write(array: Any, affine: Any = None, name: str = "scan.nii.gz", **fields: Any) -> Path:
        image = nib.Nifti1Image(np.asarray(array), np.diag([-1.0, -1, 2, 1]) if affine is None else affine)
        for key, value in fields.items():
            image.header[key] = value
        nib.save(image, tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def patch_header() -> Callable[[Path, int, bytes], Path]:
    """Return `patch(path, offset, bytes) -> path`: an uncompressed file with bytes of its header replaced."""

    def patch(path: Path, offset: int, replacement: bytes) -> Path:
        content = bytearray(path.read_bytes())
        content[offset : offset + len(replacement)] = replacement
        path.write_bytes(content)
        return path

    return patch
