"""Pictures and figures that several tests of augmentation need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spleenseg.augment import geometry as geo
from spleenseg.augment.fields import Distortion, Elastic, Radial
from spleenseg.augment.geometry import Geometry
from spleenseg.config import Config, load_config

RADIALS = {"barrel": 0.5, "pincushion": -0.5}


def every_geometry(seed: int = 1) -> Mapping[str, Geometry]:
    """Each geometric operation at the strength the reference's users know, and all of them in one map."""
    single = {
        "hflip": geo.hflip(),
        "vflip": geo.vflip(),
        "rotation": geo.rotation(10),
        "clockwise": geo.rotation(355),
        "shrink": geo.scaling(0.8),
        "zoom": geo.scaling(1.25),
        "vertical shear": geo.shear(vertical=0.1),
        "horizontal shear": geo.shear(horizontal=-0.1),
        "deformation": geo.displacement(Elastic(2.3, 8.0, seed)),
        "distortion": geo.displacement(Distortion(0.03, 40.0, seed)),
        "barrel": geo.displacement(Radial((0.45, 0.5), 0.5, RADIALS["barrel"])),
        "pincushion": geo.displacement(Radial((0.6, 0.5), 0.4, RADIALS["pincushion"])),
    }
    together = geo.IDENTITY
    for name, one in single.items():
        if name not in RADIALS:
            together = together.then(one)
    return {**single, "together": together}


def spleen_like(height: int = 512, width: int = 512) -> NDArray[np.uint8]:
    """A mask the size and roughly the shape of a spleen: an ellipse with a bite taken out."""
    y, x = np.mgrid[:height, :width]
    body = ((x - 0.3 * width) / (0.11 * width)) ** 2 + ((y - 0.55 * height) / (0.17 * height)) ** 2 < 1
    bite = ((x - 0.42 * width) / (0.06 * width)) ** 2 + ((y - 0.5 * height) / (0.06 * height)) ** 2 < 1
    return (body & ~bite).astype(np.uint8)


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


@dataclass(frozen=True)
class Source:
    name: str


@dataclass
class MemorySlices:
    """Slices made of noise and blobs, each recognisable by its first pixel's value."""

    count: int
    shape: tuple[int, int] = (48, 64)
    channels: int = 3
    files: tuple[Source, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.files = tuple(Source(f"{10000 + n}_case_{n}.jpg") for n in range(self.count))

    def __len__(self) -> int:
        return self.count

    def image(self, index: int, /) -> NDArray[np.uint8]:
        rng = np.random.default_rng(index)
        return rng.integers(0, 256, (*self.shape, self.channels), dtype=np.uint8)

    def labels(self, index: int, /) -> NDArray[np.uint8]:
        labels = np.zeros(self.shape, np.uint8)
        labels[10 : 20 + index, 12:40] = 1
        return labels


def soft(labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return labels[..., None].astype(np.float32)


def config_with(folder: Path, **sections: Mapping[str, Any]) -> Config:
    """Load a config whose sections hold the given keys."""
    chosen: dict[str, dict[str, Any]] = {
        "model": {
            "model": "TensorflowUNet",
            "generator": True,
            "image_width": 64,
            "image_height": 64,
            "image_channels": 3,
            "num_classes": 1,
            "base_filters": 4,
            "num_layers": 2,
        }
    }
    for name, keys in sections.items():
        chosen.setdefault(name, {}).update(keys)
    lines = []
    for name, keys in chosen.items():
        lines += [f"[{name}]", *(f"{key} = {value!r}" for key, value in keys.items())]
    path = folder / "train_eval_infer.config"
    path.write_text("\n".join(lines) + "\n")
    return load_config(path)
