"""Segmenting DICOM: folders and archives in, several formats out."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np
import pytest

from spleenseg.errors import UserError
from spleenseg.inference.reading import Reading
from spleenseg.inference.segment import segment
from spleenseg.volumes import read_labels, read_volume

from ..volumes.dicom_files import write_series
from .runs import blocks, brightness_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return brightness_run(tmp_path_factory.mktemp("run"), [0.5])


def test_folders_and_archives_become_cases_and_every_format_holds_the_same_labels(tmp_path: Path, run: Path) -> None:
    hu = blocks((3, 32, 16))
    folder = write_series(tmp_path / "export/patient/CT_1", hu)
    with zipfile.ZipFile(tmp_path / "export/CT_2.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    formats = ("nifti", "dicom-seg", "nrrd")
    for out in ("one", "two"):
        summary = segment([tmp_path / "export"], tmp_path / out, run, formats=formats)
    assert [(scan.case, scan.status) for scan in summary.scans] == [("CT_1", "done"), ("CT_2", "done")]
    volume = read_volume(folder)
    for case in ("CT_1", "CT_2"):
        found = [read_labels(tmp_path / "one" / f"{case}{end}", volume) for end in (".nii.gz", ".seg.dcm", ".seg.nrrd")]
        assert found[0].any()
        assert all(np.array_equal(labels, found[0]) for labels in found)
        assert all(
            (tmp_path / out / f"{case}.seg.dcm").read_bytes() == (tmp_path / "one" / f"{case}.seg.dcm").read_bytes()
            for out in ("one", "two")
        )
    again = segment([tmp_path / "export"], tmp_path / "one", run, formats=formats, resume=True)
    assert [scan.status for scan in again.scans] == ["kept", "kept"]


def test_a_dicomdir_beside_the_series_is_no_image(tmp_path: Path, run: Path) -> None:
    folder = write_series(tmp_path / "export/CT_1", blocks((3, 32, 16)))
    for place in (tmp_path / "export", folder):
        (place / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    summary = segment([tmp_path / "export"], tmp_path / "out", run)
    assert [(scan.case, scan.status) for scan in summary.scans] == [("CT_1", "done")]


def test_interpolated_slices_are_said_in_the_outputs(tmp_path: Path, run: Path) -> None:
    folder = write_series(tmp_path / "ct", blocks((5, 32, 16)), shuffled=False)
    (folder / "IM0002").unlink()
    with pytest.raises(UserError, match="1 slice is missing"):
        segment([folder], tmp_path / "out", run)
    segment([folder], tmp_path / "out", run, reading=Reading(allow_gaps=True))
    for table, column in (("volumes.csv", "notes"), ("run.log.csv", "message")):
        with (tmp_path / "out" / table).open(newline="") as file:
            assert "4 slices interpolated onto 5 even positions" in next(csv.DictReader(file))[column]
    with pytest.raises(UserError, match="read otherwise"):
        segment([folder], tmp_path / "out", run, resume=True)


def test_an_unknown_format_and_an_output_inside_the_series_are_refused(tmp_path: Path, run: Path) -> None:
    folder = write_series(tmp_path / "ct", blocks((2, 32, 16)))
    with pytest.raises(UserError, match="no format 'jpeg'"):
        segment([folder], tmp_path / "out", run, formats=("jpeg",))
    with pytest.raises(UserError, match="holds the input"):
        segment([folder], folder, run)
