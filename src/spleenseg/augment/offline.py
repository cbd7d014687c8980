"""An augmented copy of a dataset on disk, for those who train with something else."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spleenseg.augment.policies import Policy, augmenting_policy
from spleenseg.augment.reference import ReferencePolicy
from spleenseg.augment.stream import sequential_opencv
from spleenseg.augment.transform import Transform
from spleenseg.config import Config
from spleenseg.datasets.check import Section, read_section, require_pictures
from spleenseg.datasets.decode import read_image, read_mask
from spleenseg.datasets.fit import without_repeats
from spleenseg.datasets.folders import SliceFile
from spleenseg.datasets.parallel import in_threads
from spleenseg.datasets.targets import labels_of_mask
from spleenseg.errors import UserError
from spleenseg.files import atomic, require_free_folder, write_json
from spleenseg.progress import SILENT, Reporter

SPLITS = {"train": "train", "eval": "valid", "test": "test"}
"""Section of the config -> folder of the copy."""

COPIES = 4
RECORD_NAME = "augmentation.json"
_OFFLINE = 2  # what a seed is used for, beside the order and the samples of a stream
_SETTINGS = (
    *("augmentor", "compose", "intensity", "deformation", "distortion"),
    *("sharpening", "brightening", "barrdistortion", "pincdistortion", "mask"),
)

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Augmented:
    """What was written.

    Attributes:
        dataset: the copy.
        originals, augmented: pairs by split.
    """

    dataset: Path
    originals: dict[str, int]
    augmented: dict[str, int]

    def summary(self) -> str:
        """Say the result in one line."""
        parts = [
            f"{split} {count} + {self.augmented[split]}" if self.augmented[split] else f"{split} {count}"
            for split, count in self.originals.items()
        ]
        return f"{', '.join(parts)} pairs (originals + augmented) in {self.dataset}"


@dataclass(frozen=True)
class _Job:
    """One slice on its way into the copy; `transform` is None for the original itself."""

    file: SliceFile
    split: str
    transform: Transform | None

    @property
    def image_name(self) -> str:
        """File name of its image in the copy."""
        return self.file.name if self.transform is None else self._png

    @property
    def mask_name(self) -> str:
        """File name of its mask in the copy."""
        return self.file.mask.name if self.transform is None and self.file.mask else self._png

    @property
    def _png(self) -> str:
        prefix = self.transform.name if self.transform else ""
        return f"{prefix}{self.file.image.stem}.png"


def augment_dataset(
    config: Config,
    dataset: Path,
    *,
    copies: int | None = None,
    augment: Sequence[str] = ("train",),
    seed: int | None = None,
    resume: bool = False,
    reporter: Reporter = SILENT,
) -> Augmented:
    """Copy the dataset of a config and add augmented pairs at the size of its files.

    Originals are copied byte for byte, every one into the split it is in, so patients stay where they are.
    Augmented pairs are PNG; masks hold 0 and 255, or with several classes the labels. A pair depends on the
    seed and its slice alone.

    Args:
        config: a loaded config with its [train] and, where given, [eval] and [test] folders.
        dataset: a new folder; gets ``{train,valid,test}/{images,masks}``.
        copies: augmented pairs of every slice; None: 4, or with the policy `reference` each of its variants
            once, as the reference's own tool.
        augment: sections to augment; the others are copied only.
        seed: of everything random; None: `[train] seed`.
        resume: continue what an interrupted run of the same settings began.
        reporter: shows progress.

    Raises:
        UserError: `dataset` is in use, an unknown section, augmentation is off, or a file cannot be read.
    """
    policy = augmenting_policy(config)
    if config.dataset.context:
        raise config.error("dataset", "context", "neighbouring slices would be varied differently; train instead")
    sections = _sections(config, augment)
    require_pictures(sections["train"], "augment run")
    seed = config.train.seed if seed is None else seed
    jobs = [job for name in sections for job in _jobs(name, sections[name].files, policy, copies, augment, seed)]
    _refuse_equal_names(jobs)
    _claim(dataset, _request(config, sections, copies, augment, seed), resume)
    if sections["train"].manifest is not None:
        sections["train"].manifest.write(dataset)  # before the slices: they must never be read without it

    def write(job: _Job) -> None:
        _write(job, dataset, config)

    with sequential_opencv():
        in_threads(write, jobs, "augmenting", config.train.threads, reporter)
    return _count(dataset, jobs)


def _sections(config: Config, augment: Sequence[str]) -> dict[str, Section]:
    """Read the sections whose folders are given, in the order of `SPLITS`."""
    for name in augment:
        if name not in SPLITS:
            raise UserError(f"no section '{name}' to augment; known: {', '.join(SPLITS)}")
    wanted = {"train", *augment}
    given = [name for name in SPLITS if name in wanted or getattr(config, name).image_datapath is not None]
    return {name: read_section(config, name) for name in given}


def _request(
    config: Config, sections: Mapping[str, Section], copies: int | None, augment: Sequence[str], seed: int
) -> dict[str, Any]:
    """Return everything the copy depends on, as JSON holds it."""
    values = config.values()
    request = {
        "kind": "spleenseg augmented dataset",
        "seed": seed,
        "copies": copies,
        "augmented": sorted(augment),
        "settings": {name: values[name] for name in _SETTINGS},
        "sources": {SPLITS[name]: [file.name for file in section.files] for name, section in sections.items()},
    }
    return dict(json.loads(json.dumps(request)))


def _claim(dataset: Path, request: dict[str, Any], resume: bool) -> None:
    """Take a new or empty folder, or on `resume` the one that was begun with the same request."""
    record = dataset / RECORD_NAME
    if not (resume and record.is_file()):
        require_free_folder(dataset, "dataset")
        write_json(record, request)
        return
    try:
        begun = json.loads(record.read_bytes())
    except ValueError:
        begun = None
    if begun != request:
        raise UserError(f"{dataset} was begun with other settings or slices; give a new folder")


def _jobs(
    name: str, files: Sequence[SliceFile], policy: Policy, copies: int | None, augment: Sequence[str], seed: int
) -> Iterator[_Job]:
    place = list(SPLITS).index(name)
    for index, file in enumerate(files):
        yield _Job(file, SPLITS[name], None)
        if name in augment:
            rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_OFFLINE, place, index)))
            for transform in _transforms(policy, rng, copies):
                yield _Job(file, SPLITS[name], transform)


def _transforms(policy: Policy, rng: np.random.Generator, copies: int | None) -> Iterator[Transform]:
    """Draw the variants of one slice: no two of the reference's alike, and never the original again."""
    if not isinstance(policy, ReferencePolicy):
        for _ in range(COPIES if copies is None else copies):
            yield policy.draw(rng, (0, 0))
        return
    variants = [variant for variant in policy.variants if variant.transform.name]
    count = len(variants) if copies is None else min(copies, len(variants))
    for choice in sorted(rng.choice(len(variants), count, replace=False)):
        yield variants[choice].draw(rng)


def _refuse_equal_names(jobs: Sequence[_Job]) -> None:
    counts = Counter((job.split, job.image_name) for job in jobs)
    for (split, name), count in counts.items():
        if count > 1:
            raise UserError(f"{count} pairs of {split} would be called {name}; give its sources different names")


def _write(job: _Job, dataset: Path, config: Config) -> None:
    image, mask = (dataset / job.split / kind for kind in ("images", "masks"))
    image, mask = image / job.image_name, mask / job.mask_name
    if image.exists() and mask.exists():
        return
    if job.file.mask is None:
        raise UserError(f"image {job.file.image} has no mask")
    if job.transform is None:
        _copy(job.file.image, image)
        _copy(job.file.mask, mask)
        return
    pixels, labels = _augmented(job.file.image, job.file.mask, job.transform, config)
    _write_png(image, pixels)
    _write_png(mask, labels)


def _augmented(image: Path, mask: Path, transform: Transform, config: Config) -> tuple[Pixels, Pixels]:
    """Return the picture [H, W] or RGB [H, W, 3] and the mask [H, W] as they are written."""
    pixels, grey = without_repeats(read_image(image)), read_mask(mask)
    if pixels.shape[:2] != grey.shape:
        raise UserError(f"mask {mask} and image {image} differ in size")
    labels = labels_of_mask(grey, config.mask, config.model.num_classes)
    moved, labels = transform.apply(pixels if pixels.ndim == 3 else pixels[..., None], labels)
    shown = labels * np.uint8(255) if config.model.num_classes == 1 else labels
    return (moved if moved.shape[2] == 3 else moved[..., 0]), shown


def _copy(source: Path, target: Path) -> None:
    with atomic(target) as temporary:
        shutil.copyfile(source, temporary)


def _write_png(path: Path, pixels: Pixels) -> None:
    with atomic(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")


def _count(dataset: Path, jobs: Sequence[_Job]) -> Augmented:
    originals = Counter(job.split for job in jobs if job.transform is None)
    augmented = Counter(job.split for job in jobs if job.transform is not None)
    return Augmented(dataset, dict(originals), {split: augmented[split] for split in originals})
