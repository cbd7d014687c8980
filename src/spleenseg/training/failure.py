"""What goes wrong while a training runs, in words that say what to do, and what is kept to look into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from spleenseg.augment.stream import Batch
from spleenseg.config import Config, load_config
from spleenseg.config.rewrite import rewritten
from spleenseg.errors import UserError
from spleenseg.files import atomic, write_text
from spleenseg.models.run_folder import RunFolder
from spleenseg.training.checkpoint import load_checkpoint, save_checkpoint
from spleenseg.training.network import Learner, build
from spleenseg.training.state import TrainState

_OUT_OF_MEMORY = (
    "ResourceExhaustedError",
    "OutOfMemoryError",
    "MemoryError",
    "RESOURCE_EXHAUSTED",
    "out of memory",
    "Insufficient memory",  # OpenCV
    "bad_alloc",
)
_HDF5_EACH = 4096  # bytes HDF5 needs besides the numbers, for each layer and variable
_CHUNK = 1 << 22
_REPLAY = """\
The loss became {loss} at epoch {epoch}, step {step} (both from 1).

batch.npz  images float32 [B, H, W, C], targets float32 [B, H, W, K], names
state.npz  every variable of network and optimiser right before that step
{name}  every setting of the training, those of --set too

To take the step again:

    from spleenseg.training.failure import replay
    print(replay("{config}", "{folder}"))

What mostly helps: a lower learning_rate or clipvalue, or precision = "float32". The images:

{names}
"""


def keep_reproduction(config: Config, learner: Learner, state: TrainState, batch: Batch, loss: float) -> Path:
    """Write the batch of a step whose loss was no number, the variables before it and the config to `models/nan/`.

    Args:
        config: of the training, overrides included.
        learner: its variables as they were before the step.
        state: epoch and step of it.
        batch: what the step was fed with.
        loss: what it gave.

    Returns:
        the folder.
    """
    run = RunFolder.of(config)
    folder = run.nan
    with atomic(folder / "batch.npz") as temporary, temporary.open("wb") as file:
        np.savez(file, images=batch.images, targets=batch.targets, names=np.array(batch.names))
    save_checkpoint(folder / "state.npz", learner.variables(), state)
    write_text(run.nan_config, rewritten(config, folder, {}))
    text = _REPLAY.format(
        loss=loss,
        epoch=state.epoch + 1,
        step=state.step + 1,
        name=run.nan_config.name,
        config=run.nan_config,
        folder=folder,
        names="\n".join(batch.names),
    )
    write_text(folder / "README.txt", text)
    return folder


def replay(config: Config | Path | str, folder: Path | str) -> float:
    """Take the step again that `keep_reproduction` kept, and return its loss.

    Args:
        config: the config of the training, or its file; `models/nan` holds one.
        folder: `models/nan`.

    Raises:
        UserError: the folder was kept by another network.
    """
    folder, learner = Path(folder), build(config if isinstance(config, Config) else load_config(config))
    load_checkpoint(folder / "state.npz", learner.variables())
    with np.load(folder / "batch.npz", allow_pickle=False) as kept:
        images, targets = kept["images"], kept["targets"]
    learner.begin_epoch()
    return learner.train_on(images, targets)["loss"]


def require_space(path: Path, network: Any) -> None:
    """Make sure that the weights of `network` fit where `path` will lie, by writing as many bytes there and removing
    them: HDF5 brings the whole program down when the disk is full before it has closed its file.

    Raises:
        UserError: they do not fit, or the folder cannot be written to; names `path`.
    """
    try:
        _try_space(path, network)
    except UserError as error:
        reason = error.__cause__.strerror if isinstance(error.__cause__, OSError) else error
        raise UserError(f"cannot write {path}: {reason}") from error.__cause__


def _try_space(path: Path, network: Any) -> None:
    numbers = sum(int(np.prod(variable.shape)) * 4 for variable in network.variables)
    left = numbers + _HDF5_EACH * (len(network.variables) + len(network.layers))
    with suppress(_Fits), atomic(path.with_name("space.tmp")) as temporary, temporary.open("wb") as file:
        while left > 0:
            left -= file.write(bytes(min(left, _CHUNK)))
        file.flush()
        raise _Fits


class _Fits(Exception):  # noqa: N818 - no error: leaves `atomic` without the file taking its name
    pass


@contextmanager
def explained(config: Config) -> Iterator[None]:
    """Say in one line what to do about a lack of memory inside the block, or a file that could not be read or
    written, and whether there is a checkpoint to continue from.

    Raises:
        UserError: the block ran out of memory, or a file could not be read or written.
    """
    try:
        yield
    except (UserError, OSError) as error:
        if isinstance(error, UserError) and not isinstance(error.__cause__, OSError):
            raise
        raise UserError(f"{error}{_kept(config, 'set that right, then continue with --resume')}") from error
    except Exception as error:
        if not _is_lack_of_memory(error):
            raise
        raise UserError(f"out of memory in training; try {_smaller(config)}{_kept(config)}") from error


def _is_lack_of_memory(error: Exception) -> bool:
    said = f"{type(error).__name__}: {error}"
    return any(sign in said for sign in _OUT_OF_MEMORY)


def _kept(config: Config, advice: str = "") -> str:
    """Say that there is a checkpoint, and what to do with it; nothing where there is none."""
    if not RunFolder.of(config).last_state.is_file():
        return ""
    return f"; the last checkpoint is intact{advice and ': '}{advice}"


def _smaller(config: Config) -> str:
    size, precision = config.train.batch_size, config.train.precision
    ways = [f"[train] batch_size = {size // 2} (it is {size})"] if size > 1 else []
    ways += ['[train] precision = "bfloat16"'] if precision == "float32" else []
    ways += ["a smaller image_width and image_height, or fewer base_filters"] if not ways else []
    return " or ".join(ways)
