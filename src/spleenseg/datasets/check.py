"""The image and mask folders of a config, found and checked by names and headers: fast, before any work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from spleenseg.config import Config
from spleenseg.datasets.cases import SUFFIX, is_prepared, open_array, split_slices
from spleenseg.datasets.decode import picture_size
from spleenseg.datasets.fold_files import fold_files
from spleenseg.datasets.folders import SliceFile, assign_patients, attach_masks, list_images, split_folders
from spleenseg.datasets.folds import fold
from spleenseg.datasets.manifest import Expectation, Manifest, find_dataset, find_manifest
from spleenseg.datasets.millimetres import Step, step_of
from spleenseg.errors import UserError

_INFER = ("infer", "tiledinfer")
_MOST_STRETCH = 0.02


@dataclass(frozen=True)
class Section:
    """The pictures of one section of a config.

    Attributes:
        files: images with their masks (without, for the sections that infer).
        manifest: of the dataset they belong to; None for plain folders.
        expectation: how these images look: the manifest's or the reference's, with `[dataset] context`,
            `context_mm` and `windows`.
    """

    files: tuple[SliceFile, ...]
    manifest: Manifest | None
    expectation: Expectation

    def step(self, file: SliceFile, pixel_mm: float | None) -> Step | None:
        """Return how many pixels of a slice make one of `pixel_mm`; None where slices are resized by pixels.

        Raises:
            UserError: nobody knows the size of its pixels.
        """
        size = self.manifest.pixel_size(file.case) if self.manifest else None
        return step_of(pixel_mm, size, f"image {file.image}")


def read_section(config: Config, section: str) -> Section:
    """Find the pictures of `section`, by names alone.

    Args:
        config: a loaded config.
        section: "train", "eval", "test", "infer" or "tiledinfer". The images of the first three may also be
            named by a split of a volume dataset: ``DATASET/train``, or ``DATASET/train/images`` as in one of
            pictures; its labels need no folder of their own.

    Raises:
        UserError: naming file, section and key: a folder is not given, missing or empty, an image or mask
            is alone, or the dataset's labels do not fit `[model] num_classes`.
    """
    if config.dataset.fold is not None and section not in _INFER:
        return _of_fold(config, section, config.dataset.fold)
    return _read_folder(config, section)


def _of_fold(config: Config, section: str, number: int) -> Section:
    """Read the cases that a fold trains on or holds out; those of [test] must be other ones."""
    with blaming(config, "dataset", "fold"):
        root = dataset_of(config)
        chosen = fold(root, number)
    if section == "test":
        section_files = _read_folder(config, section)
        seen = sorted({file.case for file in section_files.files} & set(chosen.train))
        if seen:
            problem = f"is {number}, which trains on {seen[0]} of [test]; evaluate the fold with --section eval"
            raise config.error("dataset", "fold", problem)
        return section_files
    own = _read_folder(config, "train")
    with blaming(config, "dataset", "fold"):
        masks = config.train.mask_datapath
        files = fold_files(root, own.manifest, chosen, section == "train", masks.name if masks else "masks")
    return replace(own, files=files)


def dataset_of(config: Config) -> Path:
    """Return the root of the dataset that the training folder of a config belongs to.

    Raises:
        UserError: no such folder, or it lies in no dataset that is divided into train, valid and test.
    """
    with blaming(config, "train", "image_datapath"):
        images = _folder(config, "train", "image_datapath")
        found = find_dataset(images)
        root = found[0] if found else images.parent.parent
        if found is None and not (images.name == "images" and root.is_dir() and split_folders(root)):
            raise UserError(f"{images} is not DATASET/train/images; folds are made of a dataset of this form")
    return root


def _read_folder(config: Config, section: str) -> Section:
    prepared = None if section in _INFER else _prepared_slices(config, section)
    if prepared is not None:
        _require_fitting_classes(config, prepared[0])
        return Section(prepared[1], prepared[0], _with_channels(prepared[0].expectation, config))
    if config.dataset.windows is not None and section not in _INFER:
        problem = "needs a dataset of volumes (spleenseg prepare --format volumes); pictures show one window for good"
        raise config.error("dataset", "windows", problem)
    return _pictures(config, section)


def _prepared_slices(config: Config, section: str) -> tuple[Manifest, tuple[SliceFile, ...]] | None:
    with blaming(config, section, "image_datapath"):
        return split_slices(_folder(config, section, "image_datapath"))


def _pictures(config: Config, section: str) -> Section:
    if section in _INFER:
        with blaming(config, section, "images_dir"):
            files = list_images(_folder(config, section, "images_dir"))
    else:
        with blaming(config, section, "image_datapath"):
            files = list_images(_folder(config, section, "image_datapath"))
        with blaming(config, section, "mask_datapath"):
            files = attach_masks(files, _folder(config, section, "mask_datapath"))
    manifest = find_manifest(files[0].image.parent)
    if manifest is not None:
        _require_fitting_classes(config, manifest)
        files = assign_patients(files, manifest.patients)
    look = manifest.expectation if manifest else Expectation.reference(config.model.num_classes)
    return Section(files, manifest, _with_channels(look, config))


def _with_channels(look: Expectation, config: Config) -> Expectation:
    """Add what the config says of the channels: neighbours and windows."""
    dataset = config.dataset
    windows = dataset.windows or (look.window_hu,)
    return look.model_copy(
        update={
            "context": dataset.context,
            "context_mm": dataset.context_mm if dataset.context else None,
            "window_hu": windows[0],
            "windows": windows if len(windows) > 1 else (),
        }
    )


def require_pictures(section: Section, doing: str) -> None:
    """Refuse a volume dataset where only pictures can be used.

    Raises:
        UserError: naming `doing`, such as "augment run".
    """
    if is_prepared(section.files[0]):
        dataset = section.files[0].image.parents[1]
        raise UserError(f"{doing} needs pictures, {dataset} holds volumes; prepare it with --format slices")


def check_sections(config: Config, sections: Iterable[str]) -> None:
    """Check the folders of some sections: complete, readable, and made alike. Reads headers only.

    Args:
        config: a loaded config.
        sections: of those `read_section` knows.

    Raises:
        UserError: the first problem, in one line naming file, section, key and line.
    """
    truths: dict[str, Section] = {}
    for name in sections:
        section = read_section(config, name)
        for file in {file.image: file for file in section.files}.values():
            _check_headers(config, name, file, section.expectation)
        if name not in _INFER:
            _require_same_look(config, truths, name, section)
            truths[name] = section


def _folder(config: Config, section: str, key: str) -> Path:
    folder: Path | None = getattr(getattr(config, section), key)
    if folder is None:
        raise UserError("is not given; name the folder")
    return folder


def _check_headers(config: Config, section: str, file: SliceFile, look: Expectation) -> None:
    with blaming(config, section, "images_dir" if section in _INFER else "image_datapath"):
        size = slice_size(file.image)
        if section not in _INFER and look.pixel_mm is None:
            require_same_proportions(file, size, config)
    if file.mask is not None:
        with blaming(config, section, "mask_datapath"):
            require_same_size(file, size, slice_size(file.mask))


def slice_size(path: Path) -> tuple[int, int]:
    """Return (height, width) of a picture or of the slices of a prepared case, from the header alone.

    Raises:
        UserError: it cannot be read.
    """
    if path.suffix != SUFFIX:
        return picture_size(path)
    _, height, width = open_array(path).shape
    return height, width


def require_same_proportions(file: SliceFile, size: tuple[int, int], config: Config) -> None:
    """Refuse an image of (height, width) `size` that the model's size would stretch, unless the config allows it.

    Raises:
        UserError: its proportions differ from the model's by more than 2 %.
    """
    model = config.model
    stretched = size[1] * model.image_height / (size[0] * model.image_width)
    if not config.dataset.stretch and abs(stretched - 1) > _MOST_STRETCH:
        raise UserError(
            f"image {file.image} is {size[1]}x{size[0]} pixels, which the model's {model.image_width}x"
            f"{model.image_height} would stretch; give the model the same proportions, or set [dataset] stretch = True"
        )


@contextmanager
def blaming(config: Config, section: str, key: str) -> Iterator[None]:
    """Turn a `UserError` raised within into one that names file, section, key and line of the config."""
    try:
        yield
    except UserError as error:
        raise config.error(section, key, str(error)) from error


def require_same_size(file: SliceFile, image: tuple[int, ...], mask: tuple[int, ...]) -> None:
    """Refuse an image and a mask of different (height, width).

    Raises:
        UserError: they differ.
    """
    if image != mask:
        sizes = f"{mask[1]}x{mask[0]}, its image {image[1]}x{image[0]}"
        raise UserError(f"mask {file.mask} is {sizes} pixels; they must be the same size")


def _require_fitting_classes(config: Config, manifest: Manifest) -> None:
    several = len(manifest.labels) > 1
    needed = max(manifest.labels.values()) + 1 if several else 1
    if needed != config.model.num_classes:
        names = ", ".join(f"{name} = {value}" for name, value in manifest.labels.items())
        problem = f"is {config.model.num_classes}, but the dataset holds {names}: it needs {needed}"
        raise config.error("model", "num_classes", problem)


def _require_same_look(config: Config, others: Mapping[str, Section], name: str, section: Section) -> None:
    for other, known in others.items():
        if section.expectation != known.expectation:
            theirs, ours = _shown(known.expectation), _shown(section.expectation)
            problem = f"shows {ours}, but [{other}] shows {theirs}; prepare both alike"
            raise config.error(name, "image_datapath", problem)


def _shown(look: Expectation) -> str:
    windows = " and ".join(f"{low:g} to {high:g}" for low, high in look.shown_windows)
    names = ", ".join(f"{name} = {value}" for name, value in look.labels.items())
    pixels = f", pixels of {look.pixel_mm:g} mm" if look.pixel_mm else ""
    return f"HU {windows}, {look.display}{pixels} ({names})"
