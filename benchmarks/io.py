"""How fast scans are read, beside nibabel and SimpleITK.

    python benchmarks/io.py [--quick] [--json FILE]

`make setup-bench` installs SimpleITK. A synthetic CT of 512 x 512 x 300 is written as .nii.gz and as an uncompressed
DICOM series; each library reads it in a process of its own, one thread each, taking turns round by round. Every
one must deliver all voxels as numbers in memory: ours an int16 volume in one orientation, nibabel its `get_fdata`,
SimpleITK an image and its array. A ratio is the median of the rounds' ratios.

nifti_ratio  our time over that of the faster of nibabel and SimpleITK, .nii.gz
dicom_ratio  our time over that of SimpleITK, DICOM series
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from common import ONE_THREAD, PEERS_PYTHON, ROOT, arguments, machine, report, versions

SHAPE, QUICK_SHAPE = (300, 512, 512), (60, 512, 512)
OURS, NIBABEL, SITK = "spleenseg", "nibabel", "simpleitk"
READERS = {
    (OURS, "nifti"): "from spleenseg.volumes import read_volume; read = lambda path: read_volume(path).array",
    (OURS, "dicom"): "from spleenseg.volumes import read_volume; read = lambda path: read_volume(path).array",
    (NIBABEL, "nifti"): "import nibabel; read = lambda path: nibabel.load(path).get_fdata()",
    (SITK, "nifti"): (
        "import SimpleITK as sitk; sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)\n"
        "def read(path):\n"
        "    global image\n"  # a view does not keep its image
        "    image = sitk.ReadImage(path)\n"
        "    return sitk.GetArrayViewFromImage(image)"
    ),
    (SITK, "dicom"): (
        "import SimpleITK as sitk; sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)\n"
        "def read(path):\n"
        "    global image\n"
        "    reader = sitk.ImageSeriesReader()\n"
        "    reader.SetFileNames(reader.GetGDCMSeriesFileNames(path))\n"
        "    image = reader.Execute()\n"
        "    return sitk.GetArrayViewFromImage(image)"
    ),
}
LOOP = """
import json, sys, time
from importlib.metadata import version
read(sys.argv[2])
print(json.dumps(version(sys.argv[1])), flush=True)
for path in sys.stdin:
    started = time.perf_counter()
    array = read(path.strip())
    seconds = time.perf_counter() - started
    print(json.dumps([seconds, list(array.shape), float(array[0].sum())]), flush=True)
    del array
"""


class Reader:
    """A library at work in a process of its own, warmed up on a small scan."""

    def __init__(self, name: str, kind: str, small: Path) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [str(_python(name)), "-W", "ignore", "-c", READERS[name, kind] + LOOP, name, str(small)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **ONE_THREAD},
            text=True,
        )
        self.version = self._answer()

    def seconds(self, path: Path, voxels: int) -> float:
        """Read a scan once and return the time it took."""
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        seconds, shape, _ = self._answer()
        if int(np.prod(shape)) != voxels:
            raise SystemExit(f"{self.name} read {shape}")
        return seconds

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()

    def _answer(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} failed; `make setup-bench` installs what is compared with")
        return json.loads(line)


def _python(name: str) -> Path:
    return PEERS_PYTHON if name == SITK and PEERS_PYTHON.exists() else Path(sys.executable)


def scan(shape: tuple[int, int, int]) -> np.ndarray:
    """Return HU [slice, row, column] that compress as CT does: tissue, noise of 12 HU, and air around."""
    rng = np.random.default_rng(137)
    y, x = np.mgrid[-1 : 1 : shape[1] * 1j, -1 : 1 : shape[2] * 1j]
    body = (x / 0.85) ** 2 + (y / 0.6) ** 2 < 1
    tissue = np.where(body, 45 + 60 * np.sin(7 * x) * np.cos(9 * y), -1000)
    noise = rng.normal(0, 12, (16, *shape[1:]))
    return np.stack([np.rint(tissue + noise[k % 16] * body).astype(np.int16) for k in range(shape[0])])


def write(folder: Path, hu: np.ndarray) -> dict[str, Path]:
    """Write the scan as .nii.gz and as a DICOM series."""
    import nibabel as nib

    sys.path.insert(0, str(ROOT))
    from tests.volumes.dicom_files import write_series

    folder.mkdir()
    nib.save(nib.Nifti1Image(hu.T, np.diag([-0.7, -0.8, 2.0, 1])), folder / "scan.nii.gz")
    return {"nifti": folder / "scan.nii.gz", "dicom": write_series(folder / "series", hu)}


def compare(
    kind: str, names: list[str], paths: dict[str, Path], small: dict[str, Path], rounds: int, voxels: int
) -> Any:
    """Return each library's times, round by round, and its version."""
    readers = [Reader(name, kind, small[kind]) for name in names]
    times: dict[str, list[float]] = {name: [] for name in names}
    try:
        for number in range(rounds):
            for reader in readers:
                times[reader.name].append(reader.seconds(paths[kind], voxels))
            shown = ", ".join(f"{name} {values[-1]:.2f} s" for name, values in times.items())
            print(f"{kind}, round {number + 1} of {rounds}: {shown}", file=sys.stderr)
    finally:
        for reader in readers:
            reader.close()
    return times, {reader.name: reader.version for reader in readers}


def ratio(times: dict[str, list[float]]) -> float:
    """Return the median over the rounds of our time over the fastest of the others."""
    others = [values for name, values in times.items() if name != OURS]
    return round(median(ours / min(round_) for ours, *round_ in zip(times[OURS], *others, strict=True)), 3)


def main() -> None:
    """Measure, and report."""
    options = arguments(__doc__.splitlines()[0]).parse_args()
    about = machine()
    shape, rounds = (QUICK_SHAPE, 5) if options.quick else (SHAPE, 7)
    with tempfile.TemporaryDirectory() as folder:
        small = write(Path(folder) / "small", scan((4, 512, 512)))
        paths = write(Path(folder) / "large", scan(shape))
        voxels = int(np.prod(shape))
        nifti, used = compare("nifti", [OURS, NIBABEL, SITK], paths, small, rounds, voxels)
        dicom, _ = compare("dicom", [OURS, SITK], paths, small, rounds, voxels)
        sizes = {"nii_gz_mb": round(paths["nifti"].stat().st_size / 1e6, 1)}
    result = {
        "nifti_ratio": ratio(nifti),
        "dicom_ratio": ratio(dicom),
        "seconds": {
            kind: {name: round(median(values), 3) for name, values in times.items()}
            for kind, times in (("nifti", nifti), ("dicom", dicom))
        },
        "shape": list(shape[::-1]),
        **sizes,
        "machine": about,
        "versions": {**used, **versions("pydicom", "isal", "numpy")},
    }
    report(result, options.json)


if __name__ == "__main__":
    main()
