"""Reads randomly damaged files, in a process of its own: `python -m tests.volumes.fuzzing SEED COUNT`.

Every file must end in a `UserError` or in a volume that can be right. A case that hangs, dies or says anything else
is printed as a line of JSON; the last line tells how many were read and refused, and the peak memory.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import resource
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from spleenseg.errors import UserError
from spleenseg.volumes import Volume, read_labels, read_volume, write_dicom_seg, write_labels, write_seg_nrrd

from .dicom_files import COMPRESSED, IDENTIFYING, enhanced, image, save, write_series

HANG_S = 5.0
LIMIT_BYTES = 2 << 30
Reader = Callable[[Path], object]
HU = np.random.default_rng(1).integers(-1000, 1000, (4, 36, 34), dtype=np.int16)


def samples(folder: Path) -> list[tuple[str, Path, Reader]]:
    """Write one small file of every kind and say how each is read."""
    made: list[tuple[str, Path, Reader]] = []
    affine = np.diag([-0.7, -0.8, 2.0, 1])
    for name, values in (("a.nii", HU), ("b.nii.gz", HU), ("c.nii", HU.astype(np.float32)), ("d.nii.gz", HU / 3)):
        nib.save(nib.Nifti1Image(values.transpose(2, 1, 0), affine), folder / name)
        made.append((name, folder / name, read_volume))
    nib.save(nib.Nifti2Image(HU.transpose(2, 1, 0), affine), folder / "e.nii")
    made.append(("nifti2", folder / "e.nii", read_volume))
    stored = HU[0] + 1024
    syntaxes = {"explicit": None, "implicit": ImplicitVRLittleEndian, "deflated": DeflatedExplicitVRLittleEndian}
    syntaxes |= {syntax.name: syntax for syntax in COMPRESSED}
    for name, syntax in syntaxes.items():
        data = image(stored, (0, 0, 0), **({"syntax": syntax} if syntax else {}))
        path = save(data, folder / f"{len(made)}.dcm")
        made.append((name, path, read_volume))
    positions = np.array([(0, 0, 2.0 * k) for k in range(len(HU))])
    made.append(("enhanced", save(enhanced(HU + 1024, positions), folder / "enhanced.dcm"), read_volume))
    return made + _label_samples(folder)


def _label_samples(folder: Path) -> list[tuple[str, Path, Reader]]:
    scan = read_volume(write_series(folder / "series", HU))
    labels = (scan.array > 300).astype(np.uint8)
    write_labels(labels, scan, folder / "labels.nii.gz")
    write_dicom_seg(labels, scan, folder / "seg.dcm", {"spleen": 1})
    write_seg_nrrd(labels, scan, folder / "labels.nrrd", {"spleen": 1})
    lines = ["ObjectType = Image", "NDims = 3", "TransformMatrix = 1 0 0 0 1 0 0 0 1", "Offset = 0 0 0"]
    lines += ["ElementSpacing = 0.7 0.8 2", "DimSize = 34 36 4", "ElementType = MET_SHORT", "ElementDataFile = LOCAL"]
    (folder / "f.mha").write_bytes("\n".join(lines).encode() + b"\n" + HU.tobytes())
    with zipfile.ZipFile(folder / "g.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((folder / "series").iterdir()):
            archive.write(file, file.name)
    maps = [("labels.nii.gz", folder / "labels.nii.gz"), ("seg", folder / "seg.dcm"), ("nrrd", folder / "labels.nrrd")]
    scans = [("mha", folder / "f.mha"), ("zip", folder / "g.zip")]
    return [(name, path, lambda given: read_labels(given, scan)) for name, path in maps] + [
        (name, path, read_volume) for name, path in scans
    ]


def damage(content: bytes, rng: np.random.Generator) -> bytes:
    """Change, insert, remove or cut off a few bytes, most of them in the header."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
        reach = len(changed) if rng.random() < 0.5 else min(len(changed), 1200)
        at, kind = int(rng.integers(reach)) if reach else 0, rng.random()
        if kind < 0.75 and changed:
            changed[at] = int(rng.choice((rng.integers(256), 0, 255, changed[at] ^ (1 << int(rng.integers(8))))))
        elif kind < 0.85:
            changed[at:at] = rng.integers(0, 256, int(rng.integers(1, 5)), dtype=np.uint8).tobytes()
        elif kind < 0.95:
            del changed[at : at + int(rng.integers(1, 5))]
        else:
            del changed[at:]
    return bytes(changed)


def fault_of(reader: Reader, path: Path) -> tuple[str, str]:
    """Read a file; return what became of it ("read", "refused") and what is wrong with that ("" if nothing)."""
    said = io.StringIO()
    started = time.perf_counter()
    outcome, fault = "read", ""
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            found = reader(path)
            fault = "" if _is_plausible(found) else "not a volume"
        except UserError as error:
            outcome, message = "refused", str(error)
            fault = "several lines" if "\n" in message or not message else ""
            if any(value in message for value in IDENTIFYING.values()):
                fault = f"tells of the patient: {message}"
        except BaseException as error:
            fault = f"{type(error).__name__}: {error}"
    if not fault and time.perf_counter() - started > HANG_S:
        fault = "hangs"
    if not fault and any(value in said.getvalue() for value in IDENTIFYING.values()):
        fault = "prints of the patient"
    return outcome, fault


def _is_plausible(found: object) -> bool:
    if isinstance(found, Volume):
        sane = np.isfinite(found.affine).all() and found.array.dtype == np.int16 and found.array.size
        return bool(sane) and found.array.ndim == 3
    return isinstance(found, np.ndarray) and found.dtype == np.uint8 and found.shape == HU.shape


def main(seed: int, count: int) -> None:
    """Damage and read `count` files; print the faults and a summary."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES * 2, LIMIT_BYTES * 2))
    rng = np.random.default_rng(seed)
    counts = {"read": 0, "refused": 0}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = samples(folder)
        contents = [path.read_bytes() for _, path, _ in kinds]
        for number in range(count):
            kind = int(rng.integers(len(kinds)))
            label, source, reader = kinds[kind]
            path = folder / f"damaged{''.join(source.suffixes)}"
            path.write_bytes(damage(contents[kind], rng))
            faulthandler.dump_traceback_later(HANG_S * 4, exit=True)
            _note({"case": [seed, number, label]})
            outcome, fault = fault_of(reader, path)
            faulthandler.cancel_dump_traceback_later()
            counts[outcome] += 1
            if fault:
                _tell({"seed": seed, "case": number, "kind": label, "fault": fault})
    _tell({**counts, "peak_bytes": peak_bytes()})


def peak_bytes() -> int:
    """Return the most memory this program has held; ru_maxrss would count what the process was forked from, too."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _tell(fact: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


def _note(fact: dict[str, object]) -> None:
    sys.__stderr__.write(json.dumps(fact) + "\n")
    sys.__stderr__.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
