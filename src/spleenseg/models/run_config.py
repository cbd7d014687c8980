"""The config as a run keeps it: every effective value, paths relative to the run folder, so that it can move."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from spleenseg.config import Config, ModelConfig
from spleenseg.config.schema import SECTIONS
from spleenseg.config.section import Section
from spleenseg.errors import UserError
from spleenseg.progress import Reporter

Values = dict[str, dict[str, Any]]
_NOT_THE_NETWORK = frozenset(
    {
        *(
            "generator",
            "learning_rate",
            "clipvalue",
            "clipnorm",
            "weight_decay",
            "optimizer",
            "loss",
            "batch_dice",
            "metrics",
            "show_summary",
        ),
        *("evaluation", "pretrained", "init_from"),
    }
)
_THE_PICTURE = ("color_order", "resize_interpolation", "context", "context_mm", "windows")  # what the network sees
KEPT: Mapping[str, tuple[str, ...]] = {
    "model": tuple(key for key in ModelConfig.model_fields if key not in _NOT_THE_NETWORK),
    "dataset": _THE_PICTURE,
}
"""By section: the keys that trained weights belong to. The rest says how to train, which slices, how much memory."""


def portable(config: Config) -> Values:
    """Return every effective value by section and key, ready for JSON, paths relative to the config's folder."""
    return {
        name: {key: _plain(value, config.folder) for key, value in getattr(config, name).model_dump().items()}
        for name in SECTIONS
    }


def _plain(value: object, folder: Path) -> object:
    if isinstance(value, tuple):
        return [_plain(part, folder) for part in value]
    if not isinstance(value, Path):
        return value
    try:
        return Path(os.path.relpath(value, folder)).as_posix()
    except ValueError:  # another drive
        return str(value)


def restored(values: Values, path: Path) -> Config:
    """Return the config that `portable` took apart, as if it lay at `path`.

    Raises:
        UserError: this version knows other keys than the one that kept it.
    """
    context = {"folder": path.parent}
    try:
        sections = {
            name: section.model_validate(values.get(name, {}), context=context) for name, section in SECTIONS.items()
        }
        return Config(path=path, **sections)
    except ValidationError as error:
        raise UserError(
            f"run.json beside {path.name} in {path.parent} holds a config this version does not know "
            f"({_first(error)}); use the version that trained, or train again"
        ) from error


def as_trained(config: Config, values: Values, reporter: Reporter) -> Config:
    """Return `config` with the network of `values`, and its pictures made as then: neither can change afterwards.

    Args:
        config: the config as the user has it now.
        values: what `portable` kept when training began.
        reporter: is warned of every key that now says something else.
    """
    then = restored(values, config.path)
    kept = {name: _with_keys_of(then, config, name, keys, reporter) for name, keys in KEPT.items()}
    return config.model_copy(update=kept)


def _with_keys_of(then: Config, config: Config, name: str, keys: Iterable[str], reporter: Reporter) -> Section:
    """Return a section of `config` in which some keys have the values of `then`."""
    section: Section = getattr(config, name)
    kept = {key: getattr(getattr(then, name), key) for key in keys}
    for key, value in kept.items():
        now = getattr(section, key)
        if now != value:
            reporter.warn(f"[{name}] {key} is {now!r} now, but the run was trained with {value!r}, which counts")
    return section.model_copy(update=kept)


def _first(error: ValidationError) -> str:
    details = error.errors()[0]
    return f"{'.'.join(str(part) for part in details['loc'])}: {details['msg'].lower()}"
