"""A config written anew for another folder: the same settings, its inputs where they were, its products there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from spleenseg.config.places import DEFAULT
from spleenseg.config.schema import SECTIONS, Config
from spleenseg.config.section import Effect

PRODUCTS = frozenset(
    {
        *("model_dir", "eval_dir", "generated_images_dir", "generated_masks_dir", "output_dir", "merged_dir"),
        *("colorized_dir", "epoch_change_infer_dir", "epoch_change_tiledinfer_dir", "model_graph", "summary"),
    }
)
_FILES = frozenset({"model_graph", "summary"})


def rewritten(config: Config, folder: Path, changes: Mapping[tuple[str, str], object], apart: str | None = None) -> str:
    """Return the text of a config file for `folder` with every setting that was given and has an effect.

    Args:
        config: the config, overrides included.
        folder: where the text will lie. Files it reads stay where they are; what it writes goes the same way from
            `folder` as it went from the config's.
        changes: values by (section, key) that take the place of the config's.
        apart: name of a subfolder for what it writes outside of the config's folder, so that several such texts do
            not write over each other's; None: it goes to the same place.
    """
    given = {
        (view.section, view.key): _moved(view.key, view.value, config.folder, folder, apart)
        for view in config.describe()
        if view.origin != DEFAULT and view.effect is Effect.WORKS
    }
    values = {**given, **changes}
    lines = []
    for section in SECTIONS:
        own = {key: value for (owner, key), value in values.items() if owner == section}
        if own:
            lines += [f"[{section}]", *(f"{key} = {value!r}" for key, value in own.items()), ""]
    return "\n".join(lines)


def _moved(key: str, value: object, old: Path, new: Path, apart: str | None) -> object:
    if not isinstance(value, Path):
        return value
    if key in PRODUCTS:
        return value.relative_to(old).as_posix() if value.is_relative_to(old) else str(_set_apart(key, value, apart))
    try:
        return Path(os.path.relpath(value, new)).as_posix()
    except ValueError:  # another drive
        return str(value)


def _set_apart(key: str, place: Path, apart: str | None) -> Path:
    if apart is None:
        return place
    return place.parent / apart / place.name if key in _FILES else place / apart
