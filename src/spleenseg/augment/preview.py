"""A contact sheet of what augmentation does: a slice, every operation alone, and samples as training sees them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spleenseg.augment.compose import ComposePolicy
from spleenseg.augment.policies import Policy, augmenting_policy
from spleenseg.augment.transform import Transform
from spleenseg.config import Config
from spleenseg.datasets.check import read_section, require_pictures
from spleenseg.datasets.folders import SliceFile
from spleenseg.datasets.parallel import in_threads
from spleenseg.datasets.slices import decode
from spleenseg.datasets.store import Decoded
from spleenseg.files import atomic
from spleenseg.progress import SILENT, Reporter
from spleenseg.render import contact_sheet, label_colors, overlay

_COLUMNS = 4
_CANDIDATES = 32  # slices looked at for one that shows much organ
_SAMPLES = 8

Tile = tuple[str, NDArray[np.uint8]]


def preview(config: Config, sheet: Path, *, seed: int | None = None, reporter: Reporter = SILENT) -> Path:
    """Draw a training slice, every operation of the policy on it, and the mask's contour over each.

    The slice is the one with the most organ among some that are spread over [train]. The composed policies
    add samples as a training would see them. A different picture of the sheet's name is moved aside.

    Args:
        config: a loaded config; its `[augmentor] policy` is shown.
        sheet: the PNG to write.
        seed: of everything random; None: `[train] seed`.
        reporter: shows progress.

    Returns:
        The sheet's path.

    Raises:
        UserError: augmentation is off, the training slices cannot be read, or the sheet cannot be written.
    """
    policy = augmenting_policy(config)
    rng = np.random.default_rng(config.train.seed if seed is None else seed)
    subject = _subject(config, reporter)
    transforms = [Transform("source_"), *policy.examples(rng), *_samples(policy, rng, subject)]
    _write(sheet, [_tile(transform, subject, config) for transform in transforms])
    return sheet


def _samples(policy: Policy, rng: np.random.Generator, subject: Decoded) -> Iterator[Transform]:
    if isinstance(policy, ComposePolicy):
        height, width = subject.labels.shape
        for number in range(1, _SAMPLES + 1):
            yield replace(policy.draw(rng, (height, width)), name=f"sample {number}_")


def _subject(config: Config, reporter: Reporter) -> Decoded:
    """Return the slice with the most organ among candidates spread over the training slices."""
    section = read_section(config, "train")
    require_pictures(section, "augment preview")
    files = section.files
    spread = np.linspace(0, len(files) - 1, min(_CANDIDATES, len(files))).astype(int)
    candidates = [files[place] for place in spread]

    def read(file: SliceFile) -> Decoded:
        return decode(file, config, section.expectation, section.step(file, section.expectation.pixel_mm))

    decoded = in_threads(read, candidates, "reading [train]", config.train.threads, reporter)
    return max(decoded, key=lambda slice_: int(np.count_nonzero(slice_.labels)))


def _tile(transform: Transform, subject: Decoded, config: Config) -> Tile:
    image = subject.image if subject.image.ndim == 3 else subject.image[..., None]
    moved, labels = transform.apply(image, subject.labels)
    colors = label_colors(max(1, config.model.num_classes - 1))
    picture = moved if moved.shape[2] == 3 else moved[..., 0]
    return transform.name.rstrip("_"), overlay(picture, labels, colors, "contour")


def _write(sheet: Path, tiles: Sequence[Tile]) -> None:
    with atomic(sheet) as temporary:
        contact_sheet(tiles, _COLUMNS, temporary)
        if sheet.exists() and sheet.read_bytes() != temporary.read_bytes():
            time = datetime.now().strftime("%Y%m%d_%H%M%S_%f")
            sheet.rename(sheet.with_name(f"{sheet.stem}_{time}_bak{sheet.suffix}"))  # it may not be ours
