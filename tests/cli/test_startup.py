"""What the program loads before its first mask."""

from __future__ import annotations

import subprocess
import sys

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
