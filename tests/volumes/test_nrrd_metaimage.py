"""NRRD and MetaImage: the same volume as the NIfTI they were made from, or one line that says why not."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spleenseg.errors import UserError
from spleenseg.volumes import Volume, case_name, read_labels, read_volume, write_seg_nrrd

HU = np.random.default_rng(0).integers(-1000, 1000, (4, 5, 6), dtype=np.int16)  # [k, j, i]
NRRD = (
    "NRRD0004\n# made by hand\ntype: {type}\ndimension: 3\nspace: {space}\nsizes: 6 5 4\n"
    "space directions: (0.7,0,0) (0,0.8,0) (0,0.1,2)\nkinds: domain domain domain\nendian: {endian}\n"
    "encoding: {encoding}\nspace origin: (1,2,3)\n{more}\n"
)
META = (
    "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = {big}\nCompressedData = {packed}\n"
    "TransformMatrix = 1 0 0 0 1 0 0 0.05 1\nOffset = 1 2 3\nElementSpacing = 0.7 0.8 2\nDimSize = 6 5 4\n"
    "ElementType = {type}\nElementDataFile = {file}\n"
)
LPS = np.array([[0.7, 0, 0, 1], [0, 0.8, 0.1, 2], [0, 0, 2, 3], [0, 0, 0, 1]])


def nrrd(space: str = "left-posterior-superior", **fields: str) -> bytes:
    given = {"type": "short", "endian": "little", "encoding": "raw", "more": ""} | fields
    return NRRD.format(space=space, **given).encode()


def meta(**fields: str) -> bytes:
    return META.format(**({"big": "False", "packed": "False", "type": "MET_SHORT", "file": "LOCAL"} | fields)).encode()


@pytest.fixture
def expected(tmp_path: Path) -> Volume:
    nib.save(nib.Nifti1Image(HU.T, np.diag([-1.0, -1, 1, 1]) @ LPS), tmp_path / "scan.nii")
    return read_volume(tmp_path / "scan.nii")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.nrrd", nrrd() + HU.tobytes()),
        ("b.nrrd", nrrd(encoding="gzip") + gzip.compress(HU.tobytes())),
        ("c.nrrd", nrrd(endian="big") + HU.astype(">i2").tobytes()),
        ("d.nrrd", nrrd(type="double") + HU.astype("<f8").tobytes()),
        ("e.mha", meta() + HU.tobytes()),
        ("f.mha", meta(packed="True") + zlib.compress(HU.tobytes())),
        ("g.mha", meta(big="True") + HU.astype(">i2").tobytes()),
        ("h.nhdr", nrrd(more="data file: h.raw\n")),
        ("i.mhd", meta(file="h.raw")),
    ],
)
def test_every_encoding_reads_to_the_volume_of_the_nifti(
    name: str, content: bytes, expected: Volume, tmp_path: Path
) -> None:
    (tmp_path / "h.raw").write_bytes(HU.tobytes())
    (tmp_path / name).write_bytes(content)
    volume = read_volume(tmp_path / name)
    assert np.array_equal(volume.array, expected.array)
    np.testing.assert_allclose(volume.affine, expected.affine, atol=1e-4)
    assert volume.case == name[0]


def test_the_space_of_an_nrrd_is_honoured(expected: Volume, tmp_path: Path) -> None:
    (tmp_path / "a.nrrd").write_bytes(nrrd(space="right-anterior-superior") + HU.tobytes())
    volume = read_volume(tmp_path / "a.nrrd")
    assert np.array_equal(volume.array, expected.array[:, ::-1, ::-1])


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("a.nrrd", nrrd()[:40], "three axes"),
        ("a.nrrd", nrrd() + HU.tobytes()[:-1], "truncated"),
        ("a.nrrd", nrrd(type="block") + HU.tobytes(), "no type"),
        ("a.nrrd", nrrd(encoding="text") + HU.tobytes(), "encoding"),
        ("a.nrrd", nrrd(space="scanner-xyz") + HU.tobytes(), "no orientation"),
        ("a.nrrd", nrrd(more="data file: ../secret.raw\n"), "beside it"),
        ("a.nrrd", nrrd(more="data file: /etc/passwd\n"), "beside it"),
        ("a.nrrd", nrrd(more="data file: gone.raw\n"), "not a file beside it"),
        ("a.nrrd", b"not one at all", "not an NRRD file"),
        ("a.mha", meta() + HU.tobytes()[:-1], "truncated"),
        ("a.mha", meta(packed="True") + b"x" * 100, "corrupt"),
        ("a.mha", meta(type="MET_STRING") + HU.tobytes(), "one number a voxel"),
        ("a.mha", meta(file="../secret.raw"), "beside it"),
        ("a.mha", meta().replace(b"Offset", b"Gone") + HU.tobytes(), "no orientation"),
        ("a.mha", b"not one at all", "not a MetaImage file"),
    ],
)
def test_anything_else_is_refused_in_one_line(name: str, content: bytes, word: str, tmp_path: Path) -> None:
    (tmp_path.parent / "secret.raw").write_bytes(HU.tobytes())
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=word) as caught:
        read_volume(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_data_file_that_is_a_link_to_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "secret").write_bytes(HU.tobytes())
    (tmp_path / "inner/h.raw").symlink_to(tmp_path / "secret")
    (tmp_path / "inner/h.nhdr").write_bytes(nrrd(more="data file: h.raw\n"))
    with pytest.raises(UserError, match="not a file beside it"):
        read_volume(tmp_path / "inner/h.nhdr")


def test_a_segmentation_for_slicer_names_its_segments_and_returns_bit_exact(expected: Volume, tmp_path: Path) -> None:
    labels = (expected.array > 0).astype(np.uint8) * 3
    labels[0, 0, 0] = 1
    for name in ("a.seg.nrrd", "b.seg.nrrd"):
        write_seg_nrrd(labels, expected, tmp_path / name, {"spleen": 1, "liver": 3})
    content = (tmp_path / "a.seg.nrrd").read_bytes()
    assert content == (tmp_path / "b.seg.nrrd").read_bytes()
    assert np.array_equal(read_labels(tmp_path / "a.seg.nrrd", expected), labels)
    header = content[: content.index(b"\n\n")].decode()
    assert "Segment0_Name:=spleen" in header
    assert "Segment1_LabelValue:=3" in header
    assert case_name(tmp_path / "a.seg.nrrd") == "a"
    with pytest.raises(UserError, match=r"ends in \.seg\.nrrd"):
        write_seg_nrrd(labels, expected, tmp_path / "a.nii", {"spleen": 1, "liver": 3})
