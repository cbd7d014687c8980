"""An exported model in memory, and what the engines that run one share."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spleenseg.datasets.millimetres import PixelSize
from spleenseg.errors import UserError
from spleenseg.inference.engine import HU, Floats
from spleenseg.inference.head_start import Ahead, begun
from spleenseg.inference.meanwhile import Meanwhile
from spleenseg.inference.model_card import ModelCard
from spleenseg.inference.onnx_session import Layout, new_session, read_checked
from spleenseg.inference.openvino_network import read_network
from spleenseg.volumes import apply_window

Inputs = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class ModelFile:
    """An exported model in memory: what was checked is what runs.

    Attributes:
        path: its name.
        content: its bytes.
        card: its metadata.
        ahead: what was begun of it before; None: nothing.
    """

    path: Path
    content: bytes
    card: ModelCard
    ahead: Ahead | None = None

    @classmethod
    def read(cls, path: Path) -> ModelFile:
        """Read and check a model file.

        Raises:
            UserError: no such file, no ONNX, damaged, not self-contained, or it records nothing.
        """
        ahead = begun(path)
        content, entries = (ahead.content, ahead.entries) if ahead else read_checked(path)
        return cls(path, content, ModelCard.read(entries, path), ahead)

    def digest(self) -> str:
        """Return the SHA-256 of the content as hex digits."""
        return self.ahead.digest.result() if self.ahead else hashlib.sha256(self.content).hexdigest()

    def session(self, threads: int | None, layout: Layout) -> Any:
        """Return ONNX Runtime's session of the content, see `new_session`."""
        ahead = self.ahead
        fits = ahead and (ahead.threads, ahead.layout) == (threads, layout)
        taken = _taken_over(ahead.session) if ahead and fits else None
        return taken or new_session(self.content, self.path, threads, layout)

    def network(self) -> Any:
        """Return what OpenVINO reads of the content, see `read_network`."""
        taken = _taken_over(self.ahead.network) if self.ahead else None
        return taken or read_network(self.content, self.path)

    def require_interface(self, inputs: Iterable[str], outputs: Iterable[str]) -> None:
        """Refuse a model whose inputs and outputs have other names than an export's.

        Raises:
            UserError: they have.
        """
        wanted = {"hu"} if self.card.pixel_mm is None else {"hu", "spacing_mm"}
        if set(inputs) != wanted or "probability" not in outputs:
            raise UserError(f"{self.path} has other inputs or outputs than `spleenseg export` writes; export it again")


class ExportedEngine(ABC):
    """What engines of exported models share: pictures are led through the same graph as HU.

    Args:
        card: of the model.
        batch_size: slices a step, until `expect` says otherwise.
    """

    def __init__(self, card: ModelCard, batch_size: int) -> None:
        self._card, self._batch_size = card, batch_size
        self._hu_of_grey = hu_of_every_grey(card.window_hu)

    def expect(self, slices: int, batch_size: int) -> None:
        """See `Engine.expect`."""
        self._batch_size = batch_size

    @abstractmethod
    def _run(self, inputs: Inputs) -> Floats:
        """Predict {"hu": int16 HU [N, S, H, W]}, for models of `pixel_mm` with "spacing_mm", float32 [2].

        Returns:
            float32 [N, K, H, W].
        """

    def of_hu(self, stacks: HU, size: PixelSize | None = None) -> Floats:
        """See `HuEngine.of_hu`."""
        fixed: Inputs = {}
        if self._card.pixel_mm is not None:
            assert size is not None  # whoever has the scan knows it
            fixed = {"spacing_mm": np.array(size, np.float32)}
        starts = range(0, len(stacks), self._batch_size)
        batches = (np.ascontiguousarray(stacks[start : start + self._batch_size]) for start in starts)
        parts = [self._run({"hu": batch, **fixed}) for batch in batches]
        found = np.concatenate(parts) if parts else self._nothing(stacks.shape[2:])
        return np.moveaxis(found, 1, -1)

    def probabilities(self, batch: Floats) -> Floats:
        """See `Engine.probabilities`; pictures must be grey, each grey is given as an HU that shows as it.

        Raises:
            UserError: a picture has colours.
        """
        grey = batch
        if self._card.expectation.channels == 1:
            if not (batch == batch[..., :1]).all():
                raise UserError("an exported model sees CT, not colours; use --engine keras with the run folder")
            grey = batch[..., :1]
        hu = self._hu_of_grey[np.moveaxis(grey, -1, 1).astype(np.uint8)]
        pixel = self._card.pixel_mm
        size = None if pixel is None else (pixel, pixel)  # they are on the network's grid
        if self._card.display == "radiological":
            return self.of_hu(hu, size)
        return self.of_hu(hu[..., ::-1], size)[:, :, ::-1]

    def _nothing(self, size: tuple[int, ...]) -> Floats:
        return np.zeros((0, self._card.num_classes, *size), np.float32)


def hu_of_every_grey(window: tuple[float, float]) -> HU:
    """Return an HU that `apply_window` shows as each grey, int16 [256].

    A window of fewer than 255 HU does not show every grey; the nearest that it shows stands for the others.
    """
    every = np.arange(-(1 << 15), 1 << 15).astype(np.int16)
    greys = apply_window(every, window).astype(np.int64)  # rises with HU
    shown, first = np.unique(greys, return_index=True)
    wanted = np.arange(256)
    right = np.clip(np.searchsorted(shown, wanted), 1, len(shown) - 1)
    nearest = np.where(wanted - shown[right - 1] < shown[right] - wanted, right - 1, right)
    return every[first[nearest]]


def _taken_over(begun: Meanwhile[Any] | None) -> Any:
    """Return what was begun; None if nothing was, or it failed, which the one who loads it finds again and words."""
    if begun is not None:
        with suppress(Exception):
            return begun.result()
    return None
