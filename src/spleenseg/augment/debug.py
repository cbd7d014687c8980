"""Keeping some of the augmented pairs that were trained on, to be looked at, without slowing the training."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from spleenseg.augment.stream import Batch
from spleenseg.errors import UserError
from spleenseg.files import atomic, write_text
from spleenseg.progress import SILENT, Reporter

if TYPE_CHECKING:
    from spleenseg.config import Config

PAIRS_PER_EPOCH = 32
_MARK = ".augmented-pairs"
_MARK_TEXT = "Pairs kept by [generator] debug = True. Files in this folder are replaced by later runs.\n"


class DebugSaver:
    """Writes the first pairs of every epoch in the background, under the reference's names, as PNG.

    A folder it made (or found empty) carries a mark and is written to freely; in any other folder a file that
    exists is left alone.
    """

    def __init__(
        self,
        images: Path,
        masks: Path,
        per_epoch: int = PAIRS_PER_EPOCH,
        bgr: bool = False,
        reporter: Reporter = SILENT,
    ) -> None:
        """Prepare to save; folders are made with the first pair.

        Args:
            images: folder of the images.
            masks: folder of the masks; a different one.
            per_epoch: pairs kept of each epoch at most.
            bgr: the channels of the batches are blue, green, red.
            reporter: is told if files cannot be written.

        Raises:
            UserError: both folders are the same.
        """
        if images == masks:
            raise UserError(
                f"generated_images_dir and generated_masks_dir are both {images}; give two different folders"
            )
        self._images, self._masks, self._per_epoch, self._bgr = images, masks, per_epoch, bgr
        self._reporter = reporter
        self._ours: dict[Path, bool] = {}
        self._epoch, self._kept = -1, 0
        self._writer = ThreadPoolExecutor(1, "debug")
        self._jobs: list[Future[None]] = []

    @classmethod
    def from_config(cls, config: Config, reporter: Reporter = SILENT) -> DebugSaver | None:
        """Return the saver `[generator]` asks for, or None: debug is off, or there is nothing generated."""
        section = config.generator
        if not (config.model.generator and section.augmentation and section.debug):
            return None
        if section.generated_images_dir is None or section.generated_masks_dir is None:
            return None
        bgr = config.dataset.color_order.lower() == "bgr"
        return cls(section.generated_images_dir, section.generated_masks_dir, bgr=bgr, reporter=reporter)

    def save(self, batch: Batch, epoch: int) -> None:
        """Take the pairs of a batch, as far as the epoch's number allows, and return at once."""
        if epoch != self._epoch:
            self._epoch, self._kept = epoch, 0
        count = min(len(batch.names), self._per_epoch - self._kept)
        self._kept += count
        for image, target, name in list(zip(batch.images, batch.targets, batch.names, strict=True))[:count]:
            self._jobs.append(self._writer.submit(self._write, image, target, name))
        self._jobs = [job for job in self._jobs if not job.done() or job.exception()]

    def close(self) -> None:
        """Wait until everything taken is written; a failure is a warning, never the end of a training."""
        self._writer.shutdown(wait=True)
        problems = [str(problem) for job in self._jobs if (problem := job.exception())]
        if problems:  # what kept one from being written kept the others
            self._reporter.warn(f"{len(problems)} augmented pairs were not kept: {problems[0]}")
        self._jobs = []

    def _write(self, image: NDArray[np.float32], target: NDArray[np.float32], name: str) -> None:
        pixels = np.rint(np.clip(image, 0, 255)).astype(np.uint8)
        if not self._bgr and pixels.shape[2] == 3:
            pixels = pixels[..., ::-1]
        file = Path(name).with_suffix(".png").name
        self._put(self._images, file, pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1])
        self._put(self._masks, file, mask_picture(target))

    def _put(self, folder: Path, file: str, pixels: NDArray[np.uint8]) -> None:
        if folder not in self._ours:
            self._ours[folder] = _claim(folder)
        path = folder / file
        if path.exists() and not self._ours[folder]:
            return
        with atomic(path) as temporary:
            temporary.write_bytes(cv2.imencode(".png", np.ascontiguousarray(pixels))[1].tobytes())


def mask_picture(target: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a target [H, W, K] as grey values 0..255: K = 1 scaled, else the labels spread evenly."""
    classes = target.shape[2]
    grey = target[..., 0] if classes == 1 else target.argmax(axis=2) / (classes - 1)
    return np.rint(np.clip(grey, 0.0, 1.0) * 255).astype(np.uint8)


def _claim(folder: Path) -> bool:
    """Mark a new or empty folder as ours; tell whether it is."""
    mark = folder / _MARK
    if mark.exists():
        return True
    if folder.is_dir() and any(folder.iterdir()):
        return False
    write_text(mark, _MARK_TEXT)
    return True
