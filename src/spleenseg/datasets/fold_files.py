"""The slices of a fold: cases of all splits of a dataset, whatever folder `prepare` put them into."""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path

from spleenseg.datasets.cases import case_slices
from spleenseg.datasets.folders import SliceFile, assign_patients, attach_masks, list_images, split_folders
from spleenseg.datasets.manifest import Manifest
from spleenseg.datasets.split import Fold
from spleenseg.errors import UserError


def fold_files(
    dataset: Path, manifest: Manifest | None, fold: Fold, training: bool, masks: str = "masks"
) -> tuple[SliceFile, ...]:
    """Return the slices a fold trains on, or those it holds out.

    Args:
        dataset: its root.
        manifest: of the dataset; None: folders of pictures.
        fold: the cases of both parts.
        training: the cases to train on; else those held out, without the augmented copies of their slices.
        masks: name of the folder of masks beside each folder "images".

    Raises:
        UserError: a case of the fold is not in the dataset, or a picture lacks its mask.
    """
    cases = fold.train if training else fold.valid
    if manifest is not None and manifest.layout == "volumes":
        _require(cases, manifest.cases, dataset)
        return tuple(file for case in sorted(cases) for file in case_slices(dataset, manifest, case))
    wanted = set(cases)
    found = [file for file in _pictures(dataset, masks) if file.case in wanted and (training or file.is_original)]
    _require(cases, {file.case for file in found}, dataset)
    found.sort(key=lambda file: (file.name, str(file.image)))
    return assign_patients(found, manifest.patients) if manifest else tuple(found)


def _pictures(dataset: Path, masks: str) -> Iterator[SliceFile]:
    for folder in split_folders(dataset).values():
        yield from attach_masks(list_images(folder / "images"), folder / masks)


def _require(cases: tuple[str, ...], known: Container[str], dataset: Path) -> None:
    missing = [case for case in cases if case not in known]
    if missing:
        raise UserError(f"the folds name the case {missing[0]}, which {dataset} does not hold; divide it again")
