"""`SliceSet`: the slices of one split, decoded once, resized to the model and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spleenseg.config import Config
from spleenseg.datasets.cases import is_prepared, read_hu, read_truth
from spleenseg.datasets.check import Section, blaming, read_section, require_same_size
from spleenseg.datasets.decode import read_image, read_mask
from spleenseg.datasets.fit import fit_channels, fit_mask, fit_size, grey_of, without_repeats
from spleenseg.datasets.folders import SliceFile
from spleenseg.datasets.manifest import Expectation, Manifest
from spleenseg.datasets.millimetres import Step
from spleenseg.datasets.parallel import in_threads
from spleenseg.datasets.stacks import stacks
from spleenseg.datasets.store import Decoded, Kept, Store, default_budget
from spleenseg.datasets.targets import labels_of_mask
from spleenseg.errors import UserError
from spleenseg.progress import SILENT, Reporter
from spleenseg.volumes import apply_window

Pixels = NDArray[np.uint8]
_MB = 1 << 20


class SliceSet:
    """The slices of one section of a config; may be read by several threads at once.

    They are pictures, or slices of the prepared cases of a volume dataset, windowed as the config says.
    Every file is decoded once on creation, so a bad one is an error before any training. What exceeds
    `[dataset] cache_mb` of memory is kept in a memory-mapped file.

    Attributes:
        files: one entry a slice, sorted by name.
        manifest: of the dataset they belong to, if any.
        expectation: how these images look.
    """

    def __init__(
        self, name: str, section: Section, config: Config, reporter: Reporter = SILENT, budget: int | None = None
    ) -> None:
        """Decode the files of `section`.

        Args:
            name: of the section, for errors and progress.
            section: what `read_section` found.
            config: sizes, channels, and how masks are read.
            reporter: shows progress.
            budget: bytes of memory to use at most; None: `[dataset] cache_mb`, else a quarter of the machine's.

        Raises:
            UserError: a file cannot be read, image and mask differ in size, a mask does not mean labels, no
                mask reaches the threshold, or `[dataset] context` asks for slices that are missing.
        """
        self.files: tuple[SliceFile, ...] = section.files
        self.manifest: Manifest | None = section.manifest
        self.expectation: Expectation = section.expectation
        self._section = section
        self._config = config
        self._store = Store(_budget(config) if budget is None else budget)
        with blaming(config, "dataset", "context"):
            look = self.expectation
            self._stacks = stacks(
                self.files, look.context, look.context_mm, self.manifest.slice_mm if self.manifest else None
            )
        self._decode_all(name, reporter)

    @classmethod
    def from_config(cls, config: Config, section: str, reporter: Reporter = SILENT) -> SliceSet:
        """Load the section "train", "eval" or "test" of a config; see `SliceSet`."""
        return cls(section, read_section(config, section), config, reporter)

    def __len__(self) -> int:
        return len(self.files)

    def image(self, index: int) -> Pixels:
        """Return slice `index` as the model takes it.

        Returns:
            uint8 [h, w, C]. C = 3: in `[dataset] color_order`; 1: grey; with `[dataset] context` = n: the
            grey slices z-n .. z+n of the case, beyond its ends the outermost one again; with several
            `[dataset] windows` these for the first window, then for the next.
        """
        if self.expectation.windows:
            near = np.stack([self._get(place).image for place in self._stacks[index]], axis=-1)
            return near.reshape(*near.shape[:2], -1)
        if self.expectation.context:
            return np.stack([grey_of(self._get(near).image) for near in self._stacks[index]], axis=-1)
        return fit_channels(self._get(index).image, self._config)

    def labels(self, index: int) -> Pixels:
        """Return the labels of slice `index` at the model's size, uint8 [h, w], 0..max(1, K-1)."""
        return self._get(index).labels

    def native_image(self, index: int) -> Pixels:
        """Return slice `index` as people look at it, at the size of its file: uint8 grey [H, W] or RGB [H, W, 3]."""
        return native_picture(self.files[index], self.expectation)

    def native_labels(self, index: int) -> Pixels:
        """Return the labels of slice `index` at the size of its file, uint8 [H, W]; not kept in memory."""
        return _native_labels(self.files[index], self._config, self.expectation)

    def step(self, index: int) -> Step | None:
        """Return how many pixels of slice `index` make one of the model's; None: it is resized by pixels."""
        return self._section.step(self.files[index], self.expectation.pixel_mm)

    def _get(self, index: int) -> Decoded:
        return self._store.get(index) or self._decoded(index)

    def _decoded(self, index: int) -> Decoded:
        return decode(self.files[index], self._config, self.expectation, self.step(index))

    def _decode_all(self, name: str, reporter: Reporter) -> None:
        def decode_and_keep(index: int) -> tuple[Kept, bool, int]:
            decoded = self._decoded(index)
            kept = self._store.offer(index, decoded)
            return kept, bool(decoded.labels.any()), decoded.brightest

        title = f"reading [{name}]"
        found = in_threads(decode_and_keep, range(len(self)), title, self._config.train.threads, reporter)
        kept, organ, brightest = zip(*found, strict=True)
        if not any(organ) and max(brightest) > 0 and not is_prepared(self.files[0]):
            raise _nothing_reaches_threshold(self._config, name, max(brightest))
        for where, tell in ((Kept.ON_DISK, reporter.say), (Kept.NOWHERE, reporter.warn)):
            if where in kept:
                tell(f"{kept.count(where)} of {len(self)} slices of [{name}] do not fit in memory: {where.value}")


def native_picture(file: SliceFile, look: Expectation) -> Pixels:
    """Return a slice as people look at it, at the size of its file; see `SliceSet.native_image`."""
    if is_prepared(file):
        return apply_window(_as_shown(read_hu(file), look), look.window_hu)
    return read_image(file.image)


def decode(file: SliceFile, config: Config, look: Expectation, step: Step | None = None) -> Decoded:
    """Read a slice and its mask, and bring both to the model's size.

    Args:
        file: a picture, or a slice of a prepared case.
        config: sizes, and how masks are read.
        look: how a prepared case is shown; pictures are as they are.
        step: see `fit_size`.

    Returns:
        The image has one channel a window where `look` asks for several.

    Raises:
        UserError: a file cannot be read, the sizes differ, or the mask holds values that are no labels.
    """
    if is_prepared(file):
        return _decode_prepared(file, config, look, step)
    image, mask = read_image(file.image), read_mask(_mask(file))
    require_same_size(file, image.shape[:2], mask.shape)
    labels = fit_mask(_labels(mask, file, config), config, step)
    fitted = fit_size(without_repeats(image), config, step)
    fitted.flags.writeable = labels.flags.writeable = False
    return Decoded(fitted, labels, int(mask.max()))


def _decode_prepared(file: SliceFile, config: Config, look: Expectation, step: Step | None) -> Decoded:
    hu, labels = _as_shown(read_hu(file), look), _native_labels(file, config, look)
    require_same_size(file, hu.shape, labels.shape)
    shown = [fit_size(apply_window(hu, window), config, step) for window in look.shown_windows]
    image = np.stack(shown, axis=-1) if look.windows else shown[0]
    labels = fit_mask(labels, config, step)
    image.flags.writeable = labels.flags.writeable = False
    return Decoded(image, labels, int(labels.max()))


def _native_labels(file: SliceFile, config: Config, look: Expectation) -> Pixels:
    if not is_prepared(file):
        return _labels(read_mask(_mask(file)), file, config)
    truth = np.asarray(_as_shown(read_truth(file), look))
    return truth if config.model.num_classes > 1 else (truth > 0).astype(np.uint8)


def _as_shown(radiological: NDArray[Any], look: Expectation) -> NDArray[Any]:
    """Return a slice [H, W] in the display's left-right order, in memory of its own."""
    return np.array(radiological[:, ::-1] if look.display == "reference" else radiological, order="C")


def _mask(file: SliceFile) -> Path:
    if file.mask is None:
        raise UserError(f"image {file.image} has no mask")
    return file.mask


def _labels(grey: Pixels, file: SliceFile, config: Config) -> Pixels:
    try:
        return labels_of_mask(grey, config.mask, config.model.num_classes)
    except UserError as error:
        raise UserError(f"mask {file.mask} {error}") from error


def _nothing_reaches_threshold(config: Config, section: str, brightest: int) -> UserError:
    folder = getattr(config, section).mask_datapath
    hint = "; for masks of 0 and 1 set it to 1" if brightest == 1 else ""
    problem = f"is {config.mask.threshold:g}, but no mask in {folder} is brighter than {brightest}{hint}"
    return config.error("mask", "threshold", problem)


def _budget(config: Config) -> int:
    megabytes = config.dataset.cache_mb
    return default_budget() if megabytes is None else megabytes * _MB
