"""What the program loads before its first mask."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.program import PROGRAM

from spleenseg.volumes import Volume, write_volume

ORDER = """
import sys
from spleenseg.cli.startup import load_nibabel_alone
load_nibabel_alone()
import spleenseg.inference.segment
print("pydicom" in sys.modules, "nibabel" in sys.modules)
import pydicom
from spleenseg.volumes.dicom.scan import read
print(pydicom.dcmread.__name__)
"""


def test_a_scan_that_is_no_dicom_loads_no_pydicom_and_dicom_still_can() -> None:
    done = subprocess.run([sys.executable, "-c", ORDER], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "dcmread"]


def segmented(folder: Path, value: int, *more: str) -> subprocess.CompletedProcess[str]:
    """Segment a scan of one value by the program, in a process of its own."""
    array = np.full((3, 32, 32), value, np.int16)
    write_volume(Volume.from_stored(array, np.diag([-2.0, -2.0, 2.0, 1.0]), case="scan"), folder / "scan.nii.gz")
    command = [*PROGRAM, "segment", "scan.nii.gz", "--threads", "1", *more]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60)


def test_the_program_leaves_with_all_it_said_and_its_status(tmp_path: Path) -> None:
    done = segmented(tmp_path, -1000)
    assert (done.returncode, done.stdout) == (0, "1 of 1 scans segmented; volumes in segmentations/volumes.csv\n")
    assert "warning: scan: no spleen found" in done.stderr.splitlines()
    again = segmented(tmp_path, -1000)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.startswith("error: segmentations")


def test_a_closed_pipe_is_no_crash(tmp_path: Path) -> None:
    segmented(tmp_path, -1000)
    line = f"{sys.executable} -c 'from spleenseg.cli.app import main; main()' segment scan.nii.gz -o again | true"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("module", ["scipy.ndimage", "rich", "matplotlib", "pydicom", "keras"])
def test_a_quiet_segmentation_of_a_scan_that_is_no_dicom_never_loads(tmp_path: Path, module: str) -> None:
    segmented(tmp_path, -1000)
    code = f"""
import atexit, sys
from spleenseg.cli.app import main
atexit.register(lambda: print({module!r} in sys.modules))
main()
"""
    words = ["segment", "scan.nii.gz", "--quiet", "-o", "again", "--threads", "1"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.stdout == "False\n"
