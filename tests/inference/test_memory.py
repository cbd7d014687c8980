"""The limit of memory changes what is held, never what is found."""

from __future__ import annotations

import csv
import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spleenseg.errors import UserError
from spleenseg.inference.memory import KERAS_LIBRARIES, NetworkMemory, bytes_of, on_disk, plan
from spleenseg.inference.reading import Reading
from spleenseg.inference.segment import segment

from ..volumes.dicom_files import write_series
from .runs import blocks, brightness_run, write_scan

LONG = (1000, 512, 512)
PIXELS = 512 * 512
KERAS = NetworkMemory.of(512, libraries=KERAS_LIBRARIES)
LITTLE = "703.7MB"  # enough for Keras, and not for probabilities in memory
FAST = NetworkMemory.of(PIXELS, weights=4 * 10**6, activations=12 * 10**6)


@pytest.mark.parametrize(("text", "size"), [("2GB", 2 * 10**9), ("1.5 gb", 15 * 10**8), ("800MB", 8 * 10**8)])
def test_sizes_are_read(text: str, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "2", "GB", "-1GB", "0MB", "2TB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is no amount of memory"):
        bytes_of(text)


def test_a_long_scan_fits_the_usual_limit_and_batches_then_probabilities_give_way() -> None:
    usual = plan(LONG, 2 * 10**9, 4, FAST, keep_probability=False)
    assert (usual.batch_size, usual.on_disk) == (4, False)
    assert plan(LONG, 17 * 10**8, 4, FAST, keep_probability=False).batch_size < 4
    assert plan(LONG, 2 * 10**9, 4, FAST, keep_probability=True).on_disk
    assert not plan(LONG, 4 * 10**9, 4, FAST, keep_probability=True).on_disk


def test_a_scan_beyond_the_limit_is_refused_with_what_it_needs_and_that_is_enough() -> None:
    with pytest.raises(UserError, match=r"512x512x1000 voxels need 1\.7 GB, more than --max-memory allows \(1 GB\)"):
        plan(LONG, 10**9, 4, FAST, keep_probability=True)
    assert plan(LONG, 17 * 10**8, 4, FAST, keep_probability=True).batch_size == 1


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.nrrd", "a.mha", "a"])
@pytest.mark.parametrize("orientation", [None, "SAL"])
def test_a_scan_beyond_the_limit_is_refused_before_its_voxels_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, orientation: str | None
) -> None:
    def decoded(*args: object) -> None:
        raise AssertionError("voxels were decoded")

    run, hu = brightness_run(tmp_path / "run", [0.5]), blocks((3, 32, 16))
    if name == "a":
        write_series(tmp_path / name, hu)
    else:
        write_any(tmp_path / name, hu)
    for place in ("gzipped.inflate", "blocks.unpack", "nifti.as_int16", "dicom.scan._stored"):
        monkeypatch.setattr(f"spleenseg.volumes.{place}", decoded)
    size = "3x32x16" if orientation else "16x32x3"
    with pytest.raises(UserError, match=f"^{size} voxels need .* more than --max-memory allows"):
        segment([tmp_path / name], tmp_path / "out", run, reading=Reading(orientation=orientation), max_memory="100MB")


def write_any(path: Path, hu: np.ndarray) -> None:
    """Write HU [z, y, x] as NIfTI, NRRD or MetaImage whose stored axes are Left, Posterior, Superior."""
    sizes = " ".join(map(str, hu.shape[::-1]))
    if path.suffix == ".nrrd":
        space = "space: left-posterior-superior\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)"
        head = f"NRRD0004\ntype: short\ndimension: 3\nsizes: {sizes}\n{space}\nencoding: raw\n\n"
    elif path.suffix == ".mha":
        place = "TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\nElementSpacing = 1 1 1"
        head = f"NDims = 3\nDimSize = {sizes}\n{place}\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    else:
        write_scan(path, hu)
        return
    path.write_bytes(head.encode() + hu.astype("<i2").tobytes())


def test_weights_and_all_members_of_an_ensemble_count() -> None:
    alone = NetworkMemory.of(PIXELS, weights=10**8, activations=10**7)
    assert alone + alone == NetworkMemory.of(PIXELS, weights=2 * 10**8, activations=2 * 10**7)
    by_keras = NetworkMemory.of(PIXELS, weights=10**8, activations=10**7, libraries=10**8)
    assert alone + by_keras + by_keras == NetworkMemory.of(PIXELS, 3 * 10**8, 3 * 10**7, libraries=10**8)
    limit = 12 * 10**8
    assert plan((100, 512, 512), limit, 4, alone, keep_probability=False).batch_size == 4
    with pytest.raises(UserError, match="allow more"):
        plan((100, 512, 512), limit, 4, alone + alone, keep_probability=False)


def test_whatever_the_limit_the_files_are_the_same_and_no_temporary_one_is_left(tmp_path: Path) -> None:
    run = brightness_run(tmp_path / "run", [0.5])
    write_scan(tmp_path / "a.nii.gz", blocks((40, 96, 96)))
    made = {}
    for limit in (LITTLE, "2GB"):
        segment([tmp_path / "a.nii.gz"], tmp_path / limit, run, probabilities=True, max_memory=limit)
        files = (path for path in (tmp_path / limit).iterdir() if path.name != "run.log.csv")
        made[limit] = {path.name: path.read_bytes() for path in files}
    assert made[LITTLE] == made["2GB"]
    assert plan((40, 96, 96), bytes_of(LITTLE), 4, KERAS, keep_probability=True).on_disk
    with pytest.raises(UserError, match="allow more"):
        segment([tmp_path / "a.nii.gz"], tmp_path / "none", run, max_memory="600MB")


def test_probabilities_on_disk_are_those_in_memory(tmp_path: Path) -> None:
    from spleenseg.inference.loading import load_predictor
    from spleenseg.inference.slices import predict_slices

    hu = blocks((3, 32, 16))
    predictor = load_predictor(brightness_run(tmp_path / "run", [0.5]))
    held, spilled = (predict_slices(hu, predictor, keep_probability=True, spill=place) for place in (None, tmp_path))
    assert isinstance(spilled.probability, np.memmap)
    np.testing.assert_array_equal(spilled.probability, held.probability)


def test_a_disk_too_small_for_probabilities_is_said_before_anything_is_computed(tmp_path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full, raising=False)
    with pytest.raises(UserError, match="No space left on device"):
        on_disk((2, 8, 8), tmp_path)


def test_labels_count_where_their_probabilities_are_held() -> None:
    one, many = (
        plan(LONG, 2 * 10**9, 64, FAST, keep_probability=False, held=19, channels=channels) for channels in (1, 15)
    )
    assert many.batch_size < one.batch_size


PEAK = """
import sys
from pathlib import Path
from spleenseg.cli.app import run

status = run(sys.argv[1:])
print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")))
sys.exit(status)
"""


@pytest.mark.full
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the most memory a process had is read from /proc")
@pytest.mark.parametrize("limit", ["800MB", "2GB"])
def test_the_program_stays_within_the_limit_even_where_the_mask_fills_the_body(tmp_path: Path, limit: str) -> None:
    y, x = np.mgrid[-1:1:512j, -1:1:512j]
    body = (x / 0.85) ** 2 + (y / 0.65) ** 2 < 1
    noise = 40 + np.random.default_rng(0).normal(0, 15, (20, 512, 512))
    write_scan(tmp_path / "a.nii.gz", np.tile(np.where(body, noise, -1000).astype(np.int16), (12, 1, 1)))
    words = ["segment", str(tmp_path / "a.nii.gz"), "-o", str(tmp_path / "out"), "--quiet", "--force"]
    words = [sys.executable, "-c", PEAK, *words, "--max-memory", limit]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    with (tmp_path / "out" / "volumes.csv").open() as file:
        assert float(next(csv.DictReader(file))["volume_ml"]) > 5000
    assert int(done.stdout.split()[-1]) * 1024 <= bytes_of(limit)
