"""What makes the program start sooner. Only the program does this: a process of its own, which is ours to arrange."""

from __future__ import annotations

import sys


def load_nibabel_alone() -> None:
    """Import nibabel without pydicom, which it would load for DICOM extensions that nothing here reads.

    That is half a second before the first mask of a scan that is no DICOM. Afterwards pydicom can be imported as
    ever. Where either is loaded already, nothing happens.
    """
    if "pydicom" in sys.modules or "nibabel" in sys.modules:
        return
    sys.modules["pydicom"] = None  # type: ignore[assignment] # importing it now says that it is missing
    try:
        import nibabel  # noqa: F401
    finally:
        del sys.modules["pydicom"]
