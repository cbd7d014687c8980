"""What a prepared dataset looks like on disk: slices by split, volumes, or nnU-Net's raw folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from spleenseg.datasets import nnunet
from spleenseg.datasets.cases import write_case
from spleenseg.datasets.folders import slice_name
from spleenseg.datasets.folds import DEFAULT_FOLDS, make_folds, write_folds
from spleenseg.datasets.manifest import CaseRecord, Display, Request
from spleenseg.datasets.unfinished import Unfinished
from spleenseg.files import atomic
from spleenseg.volumes import Volume, apply_window, write_labels, write_volume

_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)

Labels = NDArray[np.uint8]


class Writer(Protocol):
    """Writes cases in one layout; several threads may write different cases."""

    def write(self, case: str, volume: Volume, labels: Labels) -> None:
        """Write a scan and its labels [z, y, x], the values of the request and 0."""

    def finish(self, cases: Mapping[str, CaseRecord]) -> None:
        """Do what can only be done when every case is written and in its split; may be repeated."""


def writer_of(request: Request, dataset: Path) -> Writer:
    """Return the writer of the layout that was asked for."""
    writers: dict[str, Callable[[Request, Path], Writer]] = {
        "slices": SliceWriter,
        "volumes": VolumeWriter,
        "nnunet": NnUnetWriter,
    }
    return writers[request.layout](request, dataset)


@dataclass(frozen=True)
class SliceWriter:
    """``DATASET/{split}/{images,masks}/{10000+z}_{case}.png``: windowed, lossless, in the display asked for.

    Slices wait beside the notes until every case is written, because only then it is known who must not be
    in another split than whom.
    """

    request: Request
    dataset: Path

    def write(self, case: str, volume: Volume, labels: Labels) -> None:
        """Write every slice, those without organ too; the mask of a single label is 0 and 255."""
        shown = apply_window(volume.array, self.request.window_hu)
        single = len(self.request.labels) == 1
        for z, (grey, truth) in enumerate(zip(shown, labels, strict=True)):
            name = slice_name(case, z)
            mask = (truth > 0).astype(np.uint8) * np.uint8(255) if single else truth
            _write_png(self._waiting(case) / "images" / name, grey, self.request.display)
            _write_png(self._waiting(case) / "masks" / name, mask, self.request.display)

    def finish(self, cases: Mapping[str, CaseRecord]) -> None:
        """Move the slices into their splits."""
        for case, record in cases.items():
            for kind in ("images", "masks"):
                target = self.dataset / record.split / kind
                target.mkdir(parents=True, exist_ok=True)
                for path in (self._waiting(case) / kind).glob("[!.]*.png"):
                    path.replace(target / path.name)

    def _waiting(self, case: str) -> Path:
        return Unfinished(self.dataset).folder / "slices" / case


@dataclass(frozen=True)
class VolumeWriter:
    """``DATASET/cases`` and ``DATASET/labels``: arrays in HU; see `datasets.cases`."""

    request: Request
    dataset: Path

    def write(self, case: str, volume: Volume, labels: Labels) -> None:
        """Write the arrays and the geometry."""
        write_case(self.dataset, volume, labels, case)

    def finish(self, cases: Mapping[str, CaseRecord]) -> None:
        """Do nothing: the manifest says which case is in which split."""


@dataclass(frozen=True)
class NnUnetWriter:
    """A raw dataset of nnU-Net: NIfTI on the source's own grid, labels numbered 1, 2, ..., and folds."""

    request: Request
    dataset: Path

    def write(self, case: str, volume: Volume, labels: Labels) -> None:
        """Write the CT in HU and the label map."""
        image, mask = nnunet.paths_of(self.dataset, case)
        numbers = np.zeros(256, np.uint8)
        for name, number in nnunet.consecutive(self.request.labels).items():
            numbers[self.request.labels[name]] = number
        write_volume(volume, image)
        write_labels(numbers[labels], volume, mask)

    def finish(self, cases: Mapping[str, CaseRecord]) -> None:
        """Write dataset.json, and splits_final.json where there are patients enough."""
        nnunet.write_description(self.dataset, self.request.labels, len(cases))
        owners = {case: record.patient for case, record in cases.items()}
        if len(set(owners.values())) >= DEFAULT_FOLDS:
            write_folds(make_folds(owners), self.dataset)


def _write_png(path: Path, radiological: Labels, display: Display) -> None:
    shown = radiological[:, ::-1] if display == "reference" else radiological
    _, data = cv2.imencode(".png", np.ascontiguousarray(shown), _PNG)
    with atomic(path) as temporary:
        temporary.write_bytes(data.tobytes())
