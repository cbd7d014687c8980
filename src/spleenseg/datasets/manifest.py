"""manifest.json: what is known of a prepared dataset, and what a model trained on it expects of images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from spleenseg.datasets.millimetres import PixelSize
from spleenseg.errors import UserError
from spleenseg.files import write_json

MANIFEST_NAME = "manifest.json"
UNFINISHED_NAME = ".prepare"
"""Folder in a dataset that `prepare` has begun and not finished."""

FORMAT = 1
Display = Literal["radiological", "reference"]
Layout = Literal["slices", "volumes", "nnunet"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Expectation(_Record):
    """How images look to a model: everything that must be the same when it is used as when it was trained.

    Attributes:
        window_hu: (low, high) in HU, shown as 0 and 255.
        display: "radiological" (patient's left on the viewer's right) or "reference" (mirrored left-right).
        pixel_mm: size of the network's pixels in mm, see `millimetres`; None: slices are resized by pixels.
        context: neighbouring slices on each side.
        context_mm: how far apart these neighbours are; None: adjacent slices.
        windows: several HU windows, each shown as channels of its own; empty: `window_hu` alone.
        labels: name -> value of every label but the background.
    """

    window_hu: tuple[float, float]
    display: Display
    pixel_mm: float | None
    context: int
    context_mm: float | None = None
    windows: tuple[tuple[float, float], ...] = ()
    labels: dict[str, int]

    @property
    def shown_windows(self) -> tuple[tuple[float, float], ...]:
        """Every HU window shown, in the order of the channels."""
        return self.windows or (self.window_hu,)

    @property
    def channels(self) -> int:
        """How many grey images show one slice: each window with all its neighbours, window after window."""
        return len(self.shown_windows) * (1 + 2 * self.context)

    @classmethod
    def reference(cls, classes: int = 1) -> Expectation:
        """Return what a folder of pictures without manifest means: HU cut to 0..255, mirrored left-right.

        Args:
            classes: `[model] num_classes`; nobody names the labels of such a folder.
        """
        labels = {"organ": 1} if classes == 1 else {f"label_{value}": value for value in range(1, classes)}
        return cls(window_hu=(0, 255), display="reference", pixel_mm=None, context=0, labels=labels)


class CaseRecord(_Record):
    """One prepared scan.

    Attributes:
        patient: whose scan; a pseudonym or the case.
        split: "train", "valid" or "test".
        spacing: (x, y, z) in mm.
        voxel_ml: volume of a voxel in millilitres.
        shape: (z, y, x).
        slices: how many pictures were written.
        organ_voxels: label name -> voxels.
        source, labels_source: the files it was made from, relative to the source folder.
        source_sha256, labels_sha256: of those files.
        orientation: directions of the stored axes, such as "RAS".
        notes: what was done to read it: gaps filled, an orientation declared.
    """

    patient: str
    split: str
    spacing: tuple[float, float, float]
    voxel_ml: float
    shape: tuple[int, int, int]
    slices: int
    organ_voxels: dict[str, int]
    source: str
    source_sha256: str
    labels_source: str
    labels_sha256: str
    orientation: str
    notes: tuple[str, ...] = ()


class Request(_Record):
    """What `prepare` was asked for: a resumed run must ask for the same."""

    layout: Layout = "slices"
    window_hu: tuple[float, float]
    display: Display
    pixel_mm: float | None = None
    labels: dict[str, int]
    seed: int
    shares: tuple[float, float, float]
    into: str | None = None
    allow_gaps: bool = False
    declared_orientation: str | None = None
    cases: tuple[str, ...]

    def difference(self, other: Request) -> str:
        """Return what `other` asks differently, such as ``seed was 1, is 2``; empty if nothing."""
        before, now = self.model_dump(), other.model_dump()
        changed = [name for name in before if before[name] != now[name]]
        return "; ".join(_changed(name, before[name], now[name]) for name in changed)


class Manifest(_Record):
    """manifest.json, written last: a dataset without it is not finished, or not made by `prepare`.

    Attributes:
        kind, format: say that the file is one of ours, and its layout.
        created_by: the program and its version.
        source: name of the source folder.
        layout: "slices" (pictures by split), "volumes" (prepared cases) or "nnunet" (nnU-Net's raw folders).
        window_hu, display, pixel_mm, context, labels: see `Expectation`.
        seed, shares: of the split.
        into: the one split that got every case; None: they were divided.
        allow_gaps: missing slices were filled.
        declared_orientation: of the stored axes, against what the files say.
        cases: case -> what is known of it.
    """

    kind: Literal["spleenseg dataset"] = "spleenseg dataset"
    format: int = FORMAT
    created_by: str
    source: str
    layout: Layout = "slices"
    window_hu: tuple[float, float]
    display: Display
    pixel_mm: float | None = None
    context: int = 0
    labels: dict[str, int]
    seed: int
    shares: tuple[float, float, float]
    into: str | None = None
    allow_gaps: bool = False
    declared_orientation: str | None = None
    cases: dict[str, CaseRecord]

    @property
    def request(self) -> Request:
        """What `prepare` was asked for."""
        same = self.model_dump(include=set(Request.model_fields) - {"cases"})
        return Request(**same, cases=tuple(sorted(self.cases)))

    @property
    def expectation(self) -> Expectation:
        """What a model trained on this dataset expects of images."""
        return Expectation(
            window_hu=self.window_hu,
            display=self.display,
            pixel_mm=self.pixel_mm,
            context=self.context,
            labels=self.labels,
        )

    @property
    def patients(self) -> dict[str, str]:
        """Case -> patient."""
        return {case: record.patient for case, record in self.cases.items()}

    @property
    def slice_mm(self) -> dict[str, float]:
        """Case -> distance of its slices in mm."""
        return {case: record.spacing[2] for case, record in self.cases.items()}

    def pixel_size(self, case: str) -> PixelSize | None:
        """Return the size of a case's pixels in mm, across and down; None for a case it does not know."""
        record = self.cases.get(case)
        return None if record is None else record.spacing[:2]

    def write(self, dataset: Path) -> None:
        """Write ``DATASET/manifest.json`` atomically."""
        write_json(dataset / MANIFEST_NAME, self.model_dump(mode="json"))


def find_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of the dataset that `folder` (its root, a split, or a split's images) belongs to.

    Returns:
        None where there is none: a folder of pictures as the reference's users have them.

    Raises:
        UserError: the manifest is damaged or of a newer version, or `prepare` has not finished the dataset.
    """
    found = find_dataset(folder)
    return None if found is None else found[1]


def find_dataset(folder: Path) -> tuple[Path, Manifest] | None:
    """Return the dataset that `folder` belongs to, and its manifest; see `find_manifest`."""
    for root in _roots(Path(folder)):
        manifest = read_manifest(root / MANIFEST_NAME)
        if manifest is not None:
            return root, manifest
        if (root / UNFINISHED_NAME).is_dir():
            raise UserError(f"dataset {root} is not finished; run `spleenseg prepare` on it again with --resume")
    return None


def _roots(folder: Path) -> dict[Path, None]:
    """Folders that may be the dataset's: as written, and as links lead to them."""
    places = (folder.absolute(), folder.resolve())
    return dict.fromkeys(root for place in places for root in (place, *place.parents[:2]))


def read_manifest(path: Path) -> Manifest | None:
    """Return the manifest in `path`; None if there is no such file, or it is not one of ours.

    Raises:
        UserError: it is ours, but damaged or of a newer version.
    """
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError:
        raise UserError(f"{path} is damaged (no JSON); run `spleenseg prepare` into a new folder") from None
    if not isinstance(data, dict) or data.get("kind") != Manifest.model_fields["kind"].default:
        return None
    return _validated(data, path)


def _validated(data: dict[str, Any], path: Path) -> Manifest:
    found = data.get("format")
    if isinstance(found, int) and found > FORMAT:
        raise UserError(f"{path} was written by a newer version ({data.get('created_by')}); upgrade spleenseg")
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path} is damaged: {where}: {first['msg'].lower()}") from error


def _changed(name: str, before: Any, now: Any) -> str:
    if name != "cases":
        return f"{name} was {before}, is {now}"
    added, gone = sorted(set(now) - set(before)), sorted(set(before) - set(now))
    parts = [f"{len(some)} case(s) {word} ({some[0]}...)" for some, word in ((added, "added"), (gone, "gone")) if some]
    return ", ".join(parts)
