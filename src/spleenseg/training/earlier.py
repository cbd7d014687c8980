"""What becomes of an earlier run in the same folder: it goes on, or is moved aside; never deleted."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from spleenseg.config import Config
from spleenseg.errors import UserError
from spleenseg.models.run_config import portable
from spleenseg.models.run_folder import RunFolder, RunManifest
from spleenseg.training.differences import fixed_changes
from spleenseg.training.interruption import stop_afterwards


def set_earlier_run_aside(run: RunFolder) -> Path | None:
    """Move the products of an earlier run to `<models>_<time>_bak`; None when there are none.

    Only files this program makes are moved; whatever else lies in the folders stays where it is. They are laid out as
    they were; `models` and `eval` stand for folders outside of the run's.

    Raises:
        UserError: a file cannot be moved (in use, no permission); all lie where they were.
    """
    found = [path for path in (*run.products(), *run.all_next_best(), *_of_watching(run)) if path.exists()]
    if not found:
        return None
    aside = free_name(run.models_dir)
    moved: list[tuple[Path, Path]] = []
    with stop_afterwards():  # half of a run aside could neither go on nor be told from a whole one
        for path in found:
            target = aside / _place(path, run)
            try:
                _move(path, target)
            except OSError as error:
                _undo(moved)
                raise UserError(f"cannot move {path} aside to {target}: {error.strerror or error}") from error
            moved.append((path, target))
    return aside


def _place(path: Path, run: RunFolder) -> Path:
    """Where a product lies in the folder aside; no two in the same place."""
    if path.is_relative_to(run.root):
        return path.relative_to(run.root)
    name, folder = ("models", run.models_dir) if path.is_relative_to(run.models_dir) else ("eval", run.eval_dir)
    return name / path.relative_to(folder)


def _move(path: Path, target: Path) -> None:
    """Rename, or to another disk copy and remove; what is there already is never written over."""
    if target.exists():
        raise FileExistsError(f"{target} exists")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, target)


def _undo(moved: list[tuple[Path, Path]]) -> None:
    """Bring back what was moved; what that cannot be done for stays aside."""
    for path, target in reversed(moved):
        with suppress(OSError):
            _move(target, path)


def require_resumable(config: Config, run: RunFolder) -> None:
    """Refuse to go on with a run that is not there, keeps its best weights in another kind of file, or began with
    settings that cannot change on the way (`fixed_changes`).

    Args:
        config: of the training about to go on.
        run: its folder.

    Raises:
        UserError: so it is, or run.json is damaged.
    """
    if not run.last_state.is_file():
        raise UserError(f"nothing to resume in {run.models_dir}; train without --resume first")
    other = replace(run, weights_only=not run.weights_only).best_weights
    if other.is_file() and not run.best_weights.is_file():
        raise UserError(
            f"cannot resume: the best weights so far are in {other}, but [train] save_weights_only = "
            f"{run.weights_only} would keep them in {run.best_weights.name}; set it to {not run.weights_only}"
        )
    if run.manifest.is_file():
        for line in fixed_changes(RunManifest.read(run.manifest).config, portable(config)):
            raise UserError(f"cannot resume: {line}, on which all so far rests; set it back, or train without --resume")


def _of_watching(run: RunFolder) -> list[Path]:
    """The pictures and logs of single epochs, where they lie by default."""
    return [*sorted((run.eval_dir / "epochs").glob("epoch_[0-9]*.png")), run.eval_dir / "tensorboard"]


def free_name(path: Path) -> Path:
    """Return `<path>_<time>_bak`, numbered where that exists: where something moved aside may lie."""
    stamp = time.strftime("%Y%m%d_%H%M%S")
    base = path.with_name(f"{path.name}_{stamp}_bak")
    names = (base if n == 0 else base.with_name(f"{base.name}_{n}") for n in range(10_000))
    return next(name for name in names if not name.exists())
