"""Loading weights as numbers only: nothing a file carries is ever run, and a file must fit exactly."""

from __future__ import annotations

import shutil
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py

from spleenseg.errors import UserError

_MEMBER = "model.weights.h5"
_MOST_ENTRIES = 1000
_SLACK = 64 * 2**20  # bytes beyond the numbers themselves: names, groups, seeds
_OPTIMISER_COPIES = 4  # a model saved while training also holds its optimiser's slots


def load_weights(model: Any, path: Path) -> None:
    """Load the weights in `path` into `model`.

    Args:
        model: a model of `build.build_model`.
        path: `*.weights.h5`, or a `.keras` archive, of which only the weights are read: the network it
            describes, and any code in it, is ignored.

    Raises:
        UserError: no such file, a damaged one, or weights of another architecture.
    """
    if not path.is_file():
        raise UserError(f"weights missing: {path}; train first, or restore the file")
    with _numbers_of(path, _limit(model)) as file:
        _require_fit(model, file, path)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)
                model.load_weights(file)
        except (ValueError, KeyError, OSError, UserWarning) as error:
            raise UserError(_misfit(path)) from error


def _limit(model: Any) -> int:
    """Return how many bytes weights of `model` can at most take."""
    return int(model.count_params()) * 4 * _OPTIMISER_COPIES + _SLACK


@contextmanager
def _numbers_of(path: Path, limit: int) -> Iterator[Path]:
    """Yield the HDF5 file in `path`: itself, or what a `.keras` archive holds, unpacked for the moment."""
    if path.suffix != ".keras":
        yield path
        return
    with TemporaryDirectory(prefix="spleenseg-") as folder:
        yield _unpacked(path, Path(folder) / _MEMBER, limit)


def _unpacked(path: Path, target: Path, limit: int) -> Path:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > _MOST_ENTRIES:
                raise UserError(f"{path} holds {len(entries)} files; a saved model holds a few")
            size = archive.getinfo(_MEMBER).file_size
            if size > limit:
                raise UserError(f"{path} unpacks to {size} bytes of weights, this network has at most {limit}")
            with archive.open(_MEMBER) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
    except KeyError as error:
        raise UserError(f"{path} holds no weights ({_MEMBER} is missing)") from error
    except (zipfile.BadZipFile, OSError, RuntimeError, EOFError) as error:
        raise UserError(f"{path} is damaged: {error}") from error
    return target


def _require_fit(model: Any, file: Path, path: Path) -> None:
    """Compare the shapes stored with the model's: Keras itself would ignore layers the model has not."""
    try:
        stored = _stored_shapes(file)
    except (OSError, RuntimeError, KeyError) as error:
        raise UserError(f"{path} is damaged, or no HDF5 file: {error}") from error
    if stored != Counter(tuple(weight.shape) for weight in model.weights):
        raise UserError(_misfit(path))


def _stored_shapes(file: Path) -> Counter[tuple[int, ...]]:
    """Count the shapes of all floating-point arrays of layers; links are not followed."""
    shapes: Counter[tuple[int, ...]] = Counter()

    def count(name: str, item: Any) -> None:
        if name.startswith("layers/") and isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
            shapes[item.shape] += 1

    with h5py.File(file, "r") as store:
        store.visititems(count)
    return shapes


def _misfit(path: Path) -> str:
    return (
        f"{path} holds weights of another network than run.json describes; "
        "restore the run.json they were saved with, or train again"
    )
