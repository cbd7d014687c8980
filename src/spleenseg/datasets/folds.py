"""splits_final.json: the folds of a cross-validation, in nnU-Net's own form, in and out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spleenseg.datasets.split import Fold, kfold, named_by_case
from spleenseg.errors import UserError
from spleenseg.files import write_json

FOLDS_NAME = "splits_final.json"
DEFAULT_FOLDS = 5


def make_folds(patients: Mapping[str, str], folds: int = DEFAULT_FOLDS) -> tuple[Fold, ...]:
    """Divide cases (case -> patient) by the rule of the published nnU-Net folds; see `kfold`.

    Raises:
        UserError: fewer patients than folds, or fewer than two folds.
    """
    return kfold(list(patients), list(named_by_case(patients).values()), folds)


def write_folds(folds: Sequence[Fold], folder: Path) -> Path:
    """Write ``FOLDER/splits_final.json``: a list of ``{"train": [...], "val": [...]}``.

    Raises:
        UserError: another file of that name lies there, or it cannot be written.
    """
    path = folder / FOLDS_NAME
    content = [{"train": list(fold.train), "val": list(fold.valid)} for fold in folds]
    if path.exists() and _json(path) != content:
        raise UserError(f"{path} exists and holds other folds; move it away first, or give another folder with -o")
    write_json(path, content)
    return path


def read_folds(path: Path) -> tuple[Fold, ...]:
    """Read a splits_final.json.

    Raises:
        UserError: missing, damaged, or a case is in both parts of a fold or twice in one.
    """
    data = _json(path)
    if not isinstance(data, list) or not data:
        raise UserError(f'{path} holds no folds: a list of {{"train": [...], "val": [...]}} is expected')
    return tuple(_fold(entry, number, path) for number, entry in enumerate(data))


def require_fitting(folds: Sequence[Fold], patients: Mapping[str, str], path: Path) -> None:
    """Refuse folds that do not fit a dataset, or that put a patient on both sides.

    Args:
        folds: what `read_folds` found in `path`.
        patients: case -> patient of every case of the dataset.

    Raises:
        UserError: naming the fold and the case.
    """
    for number, fold in enumerate(folds):
        for case in (*fold.train, *fold.valid):
            if case not in patients:
                raise UserError(f"{path}: fold {number} names the case {case}, which the dataset does not hold")
        owners = {patients[case]: case for case in fold.train}
        for case in fold.valid:
            if patients[case] in owners:
                other = owners[patients[case]]
                raise UserError(f"{path}: fold {number} trains on {other} and validates on {case}, the same patient")


def fold(dataset: Path, number: int) -> Fold:
    """Return fold `number` (from 0) of ``DATASET/splits_final.json``.

    Raises:
        UserError: there is no such file or fold, or the file is damaged.
    """
    path = Path(dataset) / FOLDS_NAME
    if not path.is_file():
        raise UserError(f"{path} does not exist; `spleenseg split {dataset}` makes it")
    folds = read_folds(path)
    if not 0 <= number < len(folds):
        raise UserError(f"{path} has folds 0 to {len(folds) - 1}, not {number}")
    return folds[number]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged: no JSON ({error})") from error


def _fold(entry: Any, number: int, path: Path) -> Fold:
    parts: list[Any] = [entry.get(name) for name in ("train", "val")] if isinstance(entry, dict) else [None]
    if not all(isinstance(part, list) and part and all(isinstance(case, str) for case in part) for part in parts):
        raise UserError(f'{path}: fold {number} needs "train" and "val", each a list of cases')
    train, valid = (tuple(sorted(part)) for part in parts)
    twice = [case for case, count in Counter((*train, *valid)).items() if count > 1]
    if twice:
        raise UserError(f"{path}: fold {number} names {twice[0]} more than once")
    return Fold(train, valid)
