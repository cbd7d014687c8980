"""An earlier run is moved aside as a whole, wherever its parts lie, and nothing of the user's with it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from spleenseg.errors import UserError
from spleenseg.models.run_folder import RunFolder
from spleenseg.training import earlier
from spleenseg.training.earlier import set_earlier_run_aside


def fill(run: RunFolder, paths: Iterable[Path] | None = None) -> dict[Path, str]:
    """Write a file for every product, with its own place as content."""
    files = {path: str(path) for path in paths or run.products()}
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    run.config.parent.mkdir(parents=True, exist_ok=True)
    run.config.write_text("mine")
    return files


def apart(tmp_path: Path) -> RunFolder:
    """A run whose weights and curves lie outside of its folder."""
    return RunFolder(tmp_path / "run", tmp_path / "w" / "models", tmp_path / "curves")


def test_every_file_of_a_run_whose_parts_lie_elsewhere_is_kept(tmp_path: Path) -> None:
    """Checkpoint and reproduction of a bad loss are both called state.npz."""
    run = apart(tmp_path)
    files = fill(run)
    aside = set_earlier_run_aside(run)
    assert aside is not None
    assert aside.parent == tmp_path / "w"
    assert sorted(path.read_text() for path in aside.rglob("*") if path.is_file()) == sorted(files.values())
    assert (aside / "models" / "last" / "state.npz").read_text() == str(run.last_state)
    assert (aside / "models" / "nan" / "state.npz").read_text() == str(run.nan / "state.npz")
    assert (aside / "eval" / "train_losses.csv").is_file()
    assert (aside / "run.json").is_file()


def test_another_disk_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: object, target: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    run = apart(tmp_path)
    files = fill(run)
    monkeypatch.setattr(os, "rename", refuse)
    aside = set_earlier_run_aside(run)
    assert aside is not None
    assert sorted(path.read_text() for path in aside.rglob("*") if path.is_file()) == sorted(files.values())
    assert not [path for path in files if path.exists()]


def test_a_file_that_cannot_be_moved_leaves_all_where_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder.at(tmp_path / "run")
    files = fill(run)
    move = earlier.shutil.move

    def refuse_one(source: Path, target: Path) -> None:
        if source == run.manifest:
            raise PermissionError(13, "Permission denied")
        move(source, target)

    monkeypatch.setattr(earlier.shutil, "move", refuse_one)
    with pytest.raises(UserError, match=r"cannot move .*run\.json aside to .*: Permission denied"):
        set_earlier_run_aside(run)
    assert {path: path.read_text() for path in files} == files


@pytest.mark.parametrize("models", [".", "../link"])
def test_the_config_stays_where_the_weights_lie_beside_it(tmp_path: Path, models: str) -> None:
    root = tmp_path / "run"
    root.mkdir()
    (tmp_path / "link").symlink_to(root)
    run = RunFolder(root, Path(os.path.abspath(root / models)), root / "eval")  # noqa: PTH100
    run.config.write_text("mine")
    assert set_earlier_run_aside(run) is None
    fill(run)
    assert set_earlier_run_aside(run) is not None
    assert run.config.read_text() == "mine"
    assert not run.manifest.exists()
