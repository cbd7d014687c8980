"""Attention within windows, every second time shifted by half of one: Liu et al. 2021 (arXiv:2103.14030)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import initializers, layers, ops

from spleenseg.models.blocks import Tensor

Ints = np.ndarray[Any, np.dtype[np.int_]]
_BARRED = -1e9  # added to the score of a pair that must not see each other


class WindowAttention(layers.Layer):  # type: ignore[misc]
    """Multi-head self-attention of the tokens of each window, with a learnt bias for every relative position.

    A side with fewer tokens than the window has a window as small as itself, unshifted. Where windows do not fill
    the grid, it is padded with tokens that none of the others sees. Weights depend on neither.

    Args:
        heads: of the attention; divides the channels.
        window: side of a window, in tokens.
        shifted: move the windows by half their side; what meets only by going round the edge is kept apart.
    """

    def __init__(self, heads: int, window: int, shifted: bool, **settings: Any) -> None:
        super().__init__(**settings)
        self.heads, self.window, self.shifted = heads, window, shifted

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "heads": self.heads, "window": self.window, "shifted": self.shifted}

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights, and lay the windows over a grid of `input_shape`, [N, H, W, C]."""
        _, height, width, channels = input_shape
        assert height
        assert width
        assert channels
        self.projections = layers.Dense(3 * channels, dtype=self.dtype_policy, name="qkv")
        self.projections.build((None, channels))
        self.out = layers.Dense(channels, dtype=self.dtype_policy, name="out")
        self.out.build((None, channels))
        span = 2 * self.window - 1
        self.bias = self.add_weight(
            shape=(span, span, self.heads), initializer=initializers.TruncatedNormal(stddev=0.02), name="bias"
        )
        self._lay(height, width)

    def _lay(self, height: int, width: int) -> None:
        sides = (height, width)
        self._sides = sides
        self._windows = [min(self.window, side) for side in sides]
        pairs = list(zip(sides, self._windows, strict=True))
        self._padded = [-(-side // window) * window for side, window in pairs]
        self._shifts = [window // 2 if self.shifted and side > window else 0 for side, window in pairs]
        self._positions = relative_positions(self._windows[0], self._windows[1], self.window)
        self._mask = barred(sides, self._padded, self._windows, self._shifts)

    def call(self, x: Tensor) -> Tensor:
        """Return [N, H, W, C] from [N, H, W, C]."""
        height, width = self._sides
        more = [padded - side for padded, side in zip(self._padded, self._sides, strict=True)]
        if any(more):
            x = ops.pad(x, [[0, 0], [0, more[0]], [0, more[1]], [0, 0]])
        if any(self._shifts):
            x = ops.roll(x, [-shift for shift in self._shifts], axis=(1, 2))
        x = self._joined(self._attended(self._split(x)))
        if any(self._shifts):
            x = ops.roll(x, self._shifts, axis=(1, 2))
        return x[:, :height, :width] if any(more) else x

    def _split(self, x: Tensor) -> Tensor:
        """Return [N, windows, tokens of one, C] of the padded grid."""
        (down, across), (height, width), channels = self._windows, self._padded, x.shape[-1]
        x = ops.reshape(x, (-1, height // down, down, width // across, across, channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, height // down * (width // across), down * across, channels))

    def _joined(self, x: Tensor) -> Tensor:
        """Undo `_split`."""
        (down, across), (height, width), channels = self._windows, self._padded, x.shape[-1]
        x = ops.reshape(x, (-1, height // down, width // across, down, across, channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, height, width, channels))

    def _attended(self, x: Tensor) -> Tensor:
        """Return softmax(q k / sqrt(d) + bias) v, projected; [N, windows, tokens, C], the softmax in float32."""
        windows, tokens, channels = x.shape[1:]
        shape = (-1, windows, tokens, self.heads, channels // self.heads)
        q, k, v = (ops.reshape(part, shape) for part in ops.split(self.projections(x), 3, axis=-1))
        scores = ops.einsum("bwnhd,bwmhd->bwhnm", q * (channels // self.heads) ** -0.5, k)
        scores = ops.cast(scores, "float32") + self._biases(tokens)
        if self._mask is not None:
            scores = ops.add(scores, self._mask)
        shares = ops.softmax(scores, axis=-1) if tokens > 1 else ops.ones_like(scores)
        weights = ops.cast(shares, x.dtype)
        x = ops.einsum("bwhnm,bwmhd->bwnhd", weights, v)
        return self.out(ops.reshape(x, (-1, windows, tokens, channels)))

    def _biases(self, tokens: int) -> Tensor:
        """Return [heads, tokens, tokens], one bias for each pair's relative position."""
        table = ops.reshape(ops.cast(self.bias, "float32"), (-1, self.heads))
        found = ops.take(table, self._positions.ravel(), axis=0)
        return ops.transpose(ops.reshape(found, (tokens, tokens, self.heads)), (2, 0, 1))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the input."""
        return input_shape

    def multiply_adds(self) -> int:
        """Return how often an image makes it multiply: projections, and both products within windows."""
        tokens, channels = math.prod(self._padded), self.input.shape[-1]
        return int(tokens * (4 * channels**2 + 2 * math.prod(self._windows) * channels))


def relative_positions(height: int, width: int, window: int) -> Ints:
    """Return where in the table of a full `window` each pair of tokens of a height x width one looks.

    Returns:
        [height * width, height * width], entry (i, j) = (dy + window - 1) (2 window - 1) + dx + window - 1,
        with (dy, dx) from token j to token i.
    """
    y, x = (axis.ravel() for axis in np.mgrid[:height, :width])
    dy, dx = y[:, None] - y[None], x[:, None] - x[None]
    return np.asarray((dy + window - 1) * (2 * window - 1) + dx + window - 1)


def barred(
    sides: tuple[int, int], padded: list[int], windows: list[int], shifts: list[int]
) -> np.ndarray[Any, np.dtype[np.float32]] | None:
    """Return what to add to the scores so that tokens see only those they really lie beside.

    Args:
        sides: height and width of the grid of tokens.
        padded: the same after padding to whole windows.
        windows: height and width of a window.
        shifts: how far the padded grid was rolled up and left.

    Returns:
        [windows, 1, tokens, tokens], 0 or a large negative number; None if all of a window may see each other.
    """
    rows, columns = (_regions(*of) for of in zip(sides, padded, shifts, strict=True))
    regions = 3 * rows[:, None] + columns[None]
    down, across = windows
    regions = regions.reshape(padded[0] // down, down, padded[1] // across, across)
    regions = regions.transpose(0, 2, 1, 3).reshape(-1, down * across)
    apart = regions[:, None, :, None] != regions[:, None, None, :]
    return np.where(apart, np.float32(_BARRED), np.float32(0)) if apart.any() else None


def _regions(side: int, padded: int, shift: int) -> Ints:
    """Return for each row of the rolled grid: 0 where it was, 1 come round the edge, 2 padding."""
    origin = np.arange(padded) + shift
    return np.where(origin % padded >= side, 2, origin >= padded)
