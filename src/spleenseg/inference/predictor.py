"""A trained model with everything around it: pictures of any size in, probabilities of their own size out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from spleenseg.config import Config
from spleenseg.datasets.fit import fit_image, fit_size
from spleenseg.datasets.manifest import Expectation
from spleenseg.datasets.millimetres import PixelSize, Step, probabilities_on_slice, step_of
from spleenseg.errors import UserError
from spleenseg.inference.engine import HU, Engine, Floats, HuEngine
from spleenseg.inference.engine_choice import KERAS
from spleenseg.inference.labels import HALF, label_names, labels_of
from spleenseg.inference.memory import KERAS_LIBRARIES, NetworkMemory
from spleenseg.inference.record import UNKNOWN, Record
from spleenseg.inference.shown import shown

Pixels = npt.NDArray[np.uint8]


class SliceModel(Protocol):
    """What answers for slices of scans: one model, or several together.

    Attributes: see `Predictor`.
    """

    @property
    def expectation(self) -> Expectation:
        """How slices must look."""

    @property
    def threshold(self) -> float:
        """See `labels_of`."""

    @property
    def batch_size(self) -> int:
        """Slices predicted at once."""

    @property
    def settings(self) -> str:
        """Fingerprint of all that decides a label."""

    @property
    def record(self) -> Record:
        """What else is known of it."""

    @property
    def names(self) -> dict[str, int]:
        """Label name -> value in label maps."""

    @property
    def memory(self) -> NetworkMemory:
        """What it takes beside the scan."""

    def expect(self, slices: int, batch_size: int) -> None:
        """See `Engine.expect`."""

    def of_hu(self, stacks: HU, size: PixelSize | None = None) -> Floats:
        """Predict slices, int16 HU [N, S, H, W] as `HuEngine.of_hu` takes them -> float32 [N, H, W, K]."""

    def labels(self, probabilities: Floats) -> Pixels:
        """Decide the label of every pixel, uint8 [...] from [..., K]; an organ alone is 1."""

    def values(self, labels: Pixels) -> Pixels:
        """Return labels as label maps hold them."""


@dataclass(frozen=True)
class Predictor:
    """What turns pictures into labels.

    Attributes:
        engine: runs the network.
        config: shapes the pictures for it ([model] size and channels, [dataset] interpolation and colours).
        expectation: how pictures must look.
        threshold: see `labels_of`.
        batch_size: pictures predicted at once.
        settings: fingerprint of all that decides a label: weights, threshold, expectation.
        record: what else is known of the model.
    """

    engine: Engine
    config: Config
    expectation: Expectation
    threshold: float = HALF
    batch_size: int = 4
    settings: str = ""
    record: Record = UNKNOWN

    @property
    def memory(self) -> NetworkMemory:
        """What it takes beside the scan."""
        pixels = self.config.model.image_height * self.config.model.image_width
        libraries = KERAS_LIBRARIES if self.record.engine == KERAS else 0
        return NetworkMemory.of(pixels, self.record.file_bytes, self.record.activation_bytes, libraries)

    @property
    def names(self) -> dict[str, int]:
        """Label name -> value in label maps, for every label the model knows but the background."""
        return label_names(self.expectation.labels, self.config.model.num_classes)

    def probabilities(
        self, pictures: Iterable[Pixels], sizes: Iterable[PixelSize | None] | None = None
    ) -> Iterator[Floats]:
        """Predict pictures in batches, lazily.

        Args:
            pictures: uint8 grey [H, W] or RGB [H, W, 3], or where the model sees neighbours or several windows
                [H, W, C] as `shown_slices` yields them; each of its own size.
            sizes: of a pixel of each in mm, across and down; needed where the model records `pixel_mm`.

        Yields:
            float32 [H, W, K] for each picture, at its size.

        Raises:
            UserError: the model needs the size of a picture's pixels, and nobody knows it.
        """
        pixel_mm = self.expectation.pixel_mm
        steps = (step_of(pixel_mm, size, "a picture") for size in (repeat(None) if sizes is None else sizes))
        rest = zip(pictures, steps, strict=False)
        while group := list(islice(rest, self.batch_size)):
            batch = np.stack([self._fitted(picture, step) for picture, step in group]).astype(np.float32)
            for (picture, step), found in zip(group, self.engine.probabilities(batch), strict=True):
                yield at_size(found, (picture.shape[0], picture.shape[1]), step)

    def expect(self, slices: int, batch_size: int) -> None:
        """See `Engine.expect`."""
        self.engine.expect(slices, batch_size)

    def of_hu(self, stacks: HU, size: PixelSize | None = None) -> Floats:
        """Predict slices of a scan, see `HuEngine.of_hu`."""
        if isinstance(self.engine, HuEngine):
            return self.engine.of_hu(stacks, size)
        pictures = (shown(stack, self.expectation) for stack in stacks)
        found = np.stack(list(self.probabilities(pictures, repeat(size))))
        return found[:, :, ::-1] if self.expectation.display == "reference" else found

    def labels(self, probabilities: Floats) -> Pixels:
        """Decide the label of every pixel, uint8 [...] from [..., K]; an organ alone is 1."""
        return labels_of(probabilities, self.threshold)

    def values(self, labels: Pixels) -> Pixels:
        """Return labels as label maps hold them: an organ alone has the value its dataset gave it."""
        if self.config.model.num_classes > 1:
            return labels
        (value,) = self.names.values()
        return labels * np.uint8(value)

    def _fitted(self, picture: Pixels, step: Step | None = None) -> Pixels:
        if self.expectation.channels == 1:
            return fit_image(picture, self.config, step)
        channels = (np.ascontiguousarray(picture[..., channel]) for channel in range(picture.shape[-1]))
        return np.stack([fit_size(channel, self.config, step) for channel in channels], axis=-1)


def at_size(probabilities: Floats, size: tuple[int, int], step: Step | None = None) -> Floats:
    """Bring probabilities [h, w, K] from the network's grid to a picture of (height, width), linearly.

    Args:
        probabilities: as the network gave them.
        size: of the picture.
        step: with which `fit_size` brought the picture to the grid. None: they are resized, and returned as they
            are where the size is the same.
    """
    if step is not None:
        return probabilities_on_slice(probabilities, size, step)
    if probabilities.shape[:2] == size:
        return probabilities
    channels = (cv2.resize(channel, size[::-1]) for channel in np.moveaxis(probabilities, -1, 0))
    return np.stack(list(channels), axis=-1)


def require_honoured(expectation: Expectation, config: Config, root: Path) -> None:
    """Refuse a model whose images cannot be made here as they were when it was trained.

    Raises:
        UserError: it wants neighbours and windows that do not fit its channels.
    """
    channels = config.model.image_channels
    if expectation.channels not in (1, channels):
        windows = f"{len(expectation.windows)} windows and " if expectation.windows else ""
        wanted = f"{windows}{expectation.context} neighbouring slices on each side"
        raise UserError(f"the model in {root} records {wanted} but takes {channels} channels; train it again")


def fingerprint(*facts: object) -> str:
    """Return a SHA-256 of facts that JSON can hold."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
