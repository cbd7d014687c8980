"""What runs a network: a batch of pictures in, a batch of probabilities out."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from spleenseg.datasets.millimetres import PixelSize

Floats = npt.NDArray[np.float32]
HU = npt.NDArray[np.int16]


class Engine(Protocol):
    """A loaded network on the grid it was built for."""

    def expect(self, slices: int, batch_size: int) -> None:
        """Say what comes next; how the network is loaded, and what memory it takes, may depend on it.

        Args:
            slices: how often the network is asked for one.
            batch_size: how many at once, at most.
        """

    def probabilities(self, batch: Floats) -> Floats:
        """Predict a batch.

        Args:
            batch: float32 [N, H, W, C], values 0..255, H and W the model's own size; any N, also none.

        Returns:
            float32 [N, H, W, K] in [0, 1]; K = 1: the organ, K > 1: channel k is label k, 0 the background.
        """


@runtime_checkable
class HuEngine(Engine, Protocol):
    """A network with window, display, resizing and neighbours inside: an exported model."""

    def of_hu(self, stacks: HU, size: PixelSize | None = None) -> Floats:
        """Predict slices of a scan.

        Args:
            stacks: int16 HU [N, S, H, W], radiological, any H and W; the S are a slice and its neighbours from
                the lowest up.
            size: of a pixel in mm, across and down; needed where the model records `pixel_mm`.

        Returns:
            float32 [N, H, W, K], radiological, on the grid of the slices.
        """
