"""The models that come with the program, by their names."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from spleenseg.errors import UserError, did_you_mean

NAMES = ("spleen",)
DEFAULT = "spleen"
FOLDER = Path(str(files("spleenseg"))) / "weights"
"""Holds NAME.onnx, NAME.LICENSE.txt, and what made it: NAME.config and NAME.run.json, and those of earlier parts of its
training as NAME.PART.config and NAME.PART.run.json."""


def builtin_model(name: str = DEFAULT) -> Path:
    """Return the file of a built-in model.

    Raises:
        UserError: there is none of that name, or this installation lacks its file.
    """
    if name not in NAMES:
        raise UserError(f"no model '{name}'{did_you_mean(name, NAMES)}: no such path, and built in are {_listed()}")
    path = FOLDER / f"{name}.onnx"
    if not path.is_file():
        raise UserError(
            f"the built-in model '{name}' is missing from this installation ({path}); install spleenseg again, "
            "or give a model with --model"
        )
    return path


def named(model: Path) -> Path:
    """Return what `--model` means: a path that exists, else the file of a built-in model of that name.

    Anything that looks like a path, with a folder or an ending, is returned as it is.

    Raises:
        UserError: see `builtin_model`; or nobody may look there.
    """
    is_word = len(model.parts) == 1 and not model.suffix
    try:
        exists = model.exists()
    except OSError as error:
        raise UserError(f"cannot read model {model}: {error.strerror or error}") from error
    return builtin_model(str(model)) if is_word and not exists else model


def _listed() -> str:
    return ", ".join(NAMES)
