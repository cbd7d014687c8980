"""Reading and validating a config: the one way from a file to a `Config`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from spleenseg.config.checks import problems_between, unread_by_policy
from spleenseg.config.ini import IniFile, parse_ini, read_ini
from spleenseg.config.places import DEFAULT, Origin, Problem, first_of
from spleenseg.config.schema import SECTIONS, Config, effect_of
from spleenseg.config.section import Section, facts
from spleenseg.config.settings import Settings, collect


def load_config(path: Path | str, overrides: Sequence[str] = (), strict: bool = False) -> Config:
    """Read and validate a config file.

    Args:
        path: the file; relative paths in it are relative to its folder.
        overrides: ``section.key=value`` settings that take the place of the file's. The value is a
            literal; what is no literal is text (``model.loss=dice_loss``).
        strict: make unknown keys and sections errors rather than warnings.

    Returns:
        The immutable config; what the user should know of is in its `warnings`.

    Raises:
        UserError: the file cannot be read, a key is misspelt, missing or has an impossible value; the
            first problem in the order of the file, with the number of further ones.
    """
    return build_config(read_ini(Path(path).absolute()), overrides, strict)


def parse_config(text: str, path: Path | str, overrides: Sequence[str] = (), strict: bool = False) -> Config:
    """Validate the text of a config as if it stood in the file `path`; see `load_config`."""
    return build_config(parse_ini(text, Path(path).absolute()), overrides, strict)


def build_config(file: IniFile, overrides: Sequence[str], strict: bool) -> Config:
    """Validate what was read from a file; see `load_config`."""
    settings = collect(file, overrides, strict)
    sections = dict(_validated(settings, file.path.parent))
    if settings.problems:
        raise first_of(settings.problems, file.path)
    config = Config(path=file.path, origins=settings.origins, **sections)
    problems = list(problems_between(config))
    if problems:
        raise first_of(problems, file.path)
    notices = [problem.located(file.path) for problem in [*settings.warnings, *_without_effect(config)]]
    return config.model_copy(update={"warnings": tuple(notices)})


def _validated(settings: Settings, folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield every section that validates; add the others' problems to `settings`."""
    for name, section in SECTIONS.items():
        try:
            yield name, section.model_validate(_values(name, settings), context={"folder": folder})
        except ValidationError as error:
            settings.problems.extend(_problems(name, error, settings))


def _values(name: str, settings: Settings) -> dict[str, object]:
    """Return the values given for a section; [train] metrics follow those of [model] unless given."""
    values = settings.of_section(name)
    metrics = settings.values.get(("model", "metrics"))
    if name == "train" and isinstance(metrics, list | tuple) and metrics and isinstance(metrics[0], str):
        values.setdefault("metrics", [metrics[0], f"val_{metrics[0]}"])
    return values


def _problems(section: str, error: ValidationError, settings: Settings) -> Iterator[Problem]:
    reported = {(problem.section, problem.key) for problem in settings.problems}
    for details in error.errors(include_url=False):
        key = str(details["loc"][0])
        text = _wording(SECTIONS[section], key, details)
        if text and (section, key) not in reported:
            yield Problem(section, key, settings.origins.get((section, key), DEFAULT), text)


def _wording(section: type[Section], key: str, details: ErrorDetails) -> str:
    """Return what is wrong; nothing for a default that waits for another key to be right."""
    if details["type"] == "missing":
        return f"is missing; it must be {facts(section, key).accepts}"
    return str(details["ctx"]["error"]) if details["type"] == "value_error" else ""


def _without_effect(config: Config) -> Iterator[Problem]:
    """Yield a notice for keys that were set, to no avail, to something else than their default.

    Keys of a section that have the same reason share one.
    """
    groups: dict[tuple[str, str], list[tuple[str, Origin]]] = defaultdict(list)
    for (section, key), origin in config.origins.items():
        _, unread = effect_of(facts(SECTIONS[section], key), config.model.model)
        reason = unread or unread_by_policy(section, key, config.augmentor.policy)
        if reason and _differs_from_default(config, section, key):
            groups[section, reason].append((origin.spelling or key, origin))
    for (section, reason), keys in groups.items():
        names = ", ".join(name for name, _ in keys)
        yield Problem(section, names, keys[0][1], f"accepted without effect: {reason}")


def _differs_from_default(config: Config, section: str, key: str) -> bool:
    field = SECTIONS[section].model_fields[key]
    return bool(getattr(getattr(config, section), key) != field.default)
