"""A starter project: a commented config, and the three scripts the reference's users know."""

from __future__ import annotations

import os
import re
from pathlib import Path
from string import Template

from spleenseg.errors import UserError
from spleenseg.files import write_text

CONFIG_NAME = "train_eval_infer.config"
RECOMMENDED = "recommended.config"
SCRIPTS = {"1.train": "train", "2.evaluate": "evaluate", "3.infer": "infer"}
_NAME = re.compile(r"\w[\w .-]*")
_BAT = '@echo off\r\ncd /d "%~dp0"\r\nspleenseg {command} {config} %*\r\n'
_SH = '#!/bin/sh\ncd "$(dirname "$0")" || exit 2\nexec spleenseg {command} {config} "$@"\n'


def new(
    folder: Path | str, name: str = "Spleen", dataset: Path | str | None = None, recommended: bool = False
) -> tuple[Path, ...]:
    """Write a starter project: the config, and scripts that train, evaluate and infer with it.

    Args:
        folder: where to; made if missing. Other files in it are left alone.
        name: what the project is called.
        dataset: the folder with train, valid and test; ``dataset/NAME`` below the folder if not given.
        recommended: write the small, fast network and the training that experiments speak for, instead of the
            reference's network of 31 million weights.

    Returns:
        The files written.

    Raises:
        UserError: one of the files exists, the name would not do as a folder's, or nothing can be written.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; give a folder for the project")
    contents = _contents(name, _as_seen_from(folder, dataset) if dataset else f"./dataset/{name}", recommended)
    for file in contents:
        if (folder / file).exists():
            raise UserError(f"{folder / file} exists and is not overwritten; give another folder")
    for file, text in contents.items():
        write_text(folder / file, text)
        if file.endswith(".sh"):
            (folder / file).chmod((folder / file).stat().st_mode | 0o111)
    return tuple(folder / file for file in contents)


def starter_config(name: str, dataset: str, recommended: bool = False) -> str:
    """Return the text of the starter config.

    Args:
        name: name of the dataset, for the title.
        dataset: folder that holds train, valid and test, as seen from the config's folder.
        recommended: see `new`.
    """
    from importlib.resources import files

    file = RECOMMENDED if recommended else CONFIG_NAME
    template = (files("spleenseg.config") / "templates" / file).read_text(encoding="utf-8")
    return Template(template).substitute(name=name, dataset=dataset)


def _as_seen_from(folder: Path, dataset: Path | str) -> str:
    """The dataset's path relative to the project, or absolute where it lies on another drive."""
    try:
        return Path(os.path.relpath(dataset, folder)).as_posix()
    except ValueError:
        return Path(dataset).resolve().as_posix()


def _contents(name: str, dataset: str, recommended: bool) -> dict[str, str]:
    if not _NAME.fullmatch(name):
        raise UserError(
            f"--name {name!r}: use letters, digits, blanks and . _ - only, beginning with a letter or digit"
        )
    contents = {CONFIG_NAME: starter_config(name, dataset, recommended)}
    for script, command in SCRIPTS.items():
        contents[f"{script}.bat"] = _BAT.format(command=command, config=CONFIG_NAME)
        contents[f"{script}.sh"] = _SH.format(command=command, config=CONFIG_NAME)
    return contents
