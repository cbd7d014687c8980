"""Saving where a training stands, in one file, and going on from there.

`models/last/state.npz` holds every variable (weights, dropout seeds, optimiser slots, running metric sums) in
the model's own order, and the counters as JSON. One file replaced by renaming cannot be half new, half old;
arrays without pickling cannot carry code.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from spleenseg.errors import UserError
from spleenseg.files import atomic
from spleenseg.training.state import TrainState


def save_checkpoint(path: Path, variables: Sequence[Any], state: TrainState) -> None:
    """Write all `variables` (Keras variables) and `state` to `path` (.npz), atomically."""
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        _add(archive, "state", np.array(json.dumps(state.as_dict())))
        for index, variable in enumerate(variables):  # one after the other: a copy of them all is as large again
            _add(archive, f"v{index}", keras.ops.convert_to_numpy(variable.value))


def _add(archive: zipfile.ZipFile, name: str, array: NDArray[Any]) -> None:
    """Add an array as `numpy.savez` does."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def load_checkpoint(path: Path, variables: Sequence[Any]) -> TrainState:
    """Assign the saved values to `variables` and return the state saved with them.

    Raises:
        UserError: no checkpoint, a damaged one, or one of another architecture or optimiser.
    """
    if not path.is_file():
        raise UserError(f"nothing to resume: {path} does not exist; train without --resume first")
    try:
        with np.load(path, allow_pickle=False) as saved:
            values = [saved[f"v{index}"] for index in range(len(saved.files) - 1)]
            state = TrainState.from_dict(json.loads(str(saved["state"])))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"cannot resume: {path} is damaged ({error})") from error
    if [value.shape for value in values] != [tuple(variable.shape) for variable in variables]:
        raise UserError(
            f"cannot resume: {path} was saved by another network or optimizer; "
            "restore the config it was trained with, or train without --resume"
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return state
