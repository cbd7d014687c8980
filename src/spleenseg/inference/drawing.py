"""How masks and overlays of pictures look, and writing them without loss."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from spleenseg.config import Config
from spleenseg.files import atomic
from spleenseg.inference.predictor import Pixels
from spleenseg.render import RGB, color, colorize, label_colors, overlay


@dataclass(frozen=True)
class Drawing:
    """The look that [segmentation] gives.

    Attributes:
        colorize: whether masks are painted; else they are grey: 0 and 255, or with several labels their values.
        colors: label -> (red, green, blue).
        background: colour of everything else in a painted mask.
        style: of overlays, see `render.overlay`.
        alpha: how strongly "fill" tints.
    """

    colorize: bool
    colors: dict[int, RGB]
    background: RGB
    style: str
    alpha: float

    @classmethod
    def of(cls, config: Config, style: str) -> Drawing:
        """Take the look from a config."""
        section = config.segmentation
        colors = label_colors(max(1, config.model.num_classes - 1), first=color(section.white))
        return cls(section.colorize, colors, color(section.black), style, section.alpha)

    def facts(self) -> list[object]:
        """Return all that shapes the pictures, as JSON can hold it."""
        colors = [[label, *shade] for label, shade in self.colors.items()]
        return [self.colorize, colors, list(self.background), self.style, self.alpha]

    def write_mask(self, path: Path, image: Pixels, labels: Pixels) -> None:
        """Write labels uint8 [H, W] as a PNG; `image` plays no part."""
        if self.colorize:
            write_png(path, colorize(labels, self.colors, self.background))
        else:
            write_png(path, labels * np.uint8(255) if len(self.colors) == 1 else labels)

    def write_overlay(self, path: Path, image: Pixels, labels: Pixels) -> None:
        """Write `image`, uint8 [H, W, 3], with the labels over it as a PNG."""
        write_png(path, overlay(image, labels, self.colors, self.style, self.alpha))


def write_png(path: Path, pixels: Pixels) -> None:
    """Write uint8 [H, W] or [H, W, 3] as a PNG, atomically."""
    with atomic(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")
