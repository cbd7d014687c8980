"""The figures of each epoch for TensorBoard and MLflow, where asked for; both are extras, both stay on this machine."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from spleenseg.config import Config
from spleenseg.errors import install_command
from spleenseg.models.run_folder import RunFolder
from spleenseg.training.state import TrainState

_SILENCED = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_ALLOW_FILE_STORE": "true",
}
_NOT_FIGURES = ("epoch",)
_NEEDED = {"tensorboard": "tensorboardX", "mlflow": "mlflow"}


class EpochLogger(Protocol):
    """Takes the state after each epoch."""

    def __call__(self, state: TrainState) -> None:
        """Log the figures of the epoch that `state` has just finished."""


def check_loggers(config: Config) -> None:
    """Refuse a logger whose package is not installed, before any work.

    Raises:
        UserError: naming the key and the command that installs the package.
    """
    for key, module in _NEEDED.items():
        if getattr(config.train, key) and find_spec(module) is None:
            raise config.error("train", key, f"is True, but its package is missing: {install_command(key)}")


@contextmanager
def loggers(config: Config, run: RunFolder) -> Iterator[tuple[EpochLogger, ...]]:
    """Yield the loggers a config asks for; they are closed when the block ends, however it ends.

    TensorBoard's event files go to `eval/tensorboard`, MLflow's runs to `mlruns` in the run folder.

    Raises:
        UserError: as `check_loggers`.
    """
    check_loggers(config)
    with ExitStack() as stack:
        opened: list[EpochLogger] = []
        if config.train.tensorboard:
            opened.append(stack.enter_context(_tensorboard(run.eval_dir / "tensorboard")))
        if config.train.mlflow:
            opened.append(stack.enter_context(_mlflow(config, run.root)))
        yield tuple(opened)


def figures_of(state: TrainState) -> dict[str, float]:
    """Return the finite figures of the last finished epoch, by name."""
    row = state.history[-1]
    return {name: value for name, value in row.items() if name not in _NOT_FIGURES and math.isfinite(value)}


@contextmanager
def _tensorboard(folder: Path) -> Iterator[EpochLogger]:
    make = import_module("tensorboardX").SummaryWriter
    with ExitStack() as stack:
        opened: list[Any] = []  # with the first epoch, when an earlier run's files have been moved aside

        def log(state: TrainState) -> None:
            if not opened:
                opened.append(stack.enter_context(make(logdir=str(folder))))
            for name, value in figures_of(state).items():
                split, plain = ("validation", name[4:]) if name.startswith("val_") else ("train", name)
                opened[0].add_scalar(f"{plain}/{split}", value, state.epoch)
            opened[0].flush()

        yield log


@contextmanager
def _mlflow(config: Config, root: Path) -> Iterator[EpochLogger]:
    """Log to files in the run folder; the package is kept from reporting its use to anyone."""
    os.environ.update(_SILENCED)
    client = import_module("mlflow").MlflowClient(tracking_uri=(root / "mlruns").as_uri())
    found = client.get_experiment_by_name(root.name)
    experiment = found.experiment_id if found else client.create_experiment(root.name)
    known = client.create_run(experiment).info.run_id
    for section in ("model", "train"):
        for key, setting in getattr(config, section).model_dump().items():
            client.log_param(known, f"{section}.{key}", str(setting)[:500])

    def log(state: TrainState) -> None:
        for name, value in figures_of(state).items():
            client.log_metric(known, name, value, step=state.epoch)

    try:
        yield log
        client.set_terminated(known)
    except BaseException:
        client.set_terminated(known, "KILLED")
        raise
