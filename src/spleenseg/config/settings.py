"""The settings a user gave, in the file and on the command line, brought under the schema's names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from spleenseg.config.ini import Entry, IniFile
from spleenseg.config.literals import NotLiteral, read_literal
from spleenseg.config.names import Unknown, find_key, find_section
from spleenseg.config.places import Origin, Problem
from spleenseg.errors import UserError


@dataclass
class Settings:
    """What was given: values by (section, key), where each was given, and what went wrong."""

    values: dict[tuple[str, str], object] = field(default_factory=dict)
    origins: dict[tuple[str, str], Origin] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def of_section(self, section: str) -> dict[str, object]:
        """Return the values given for one section."""
        return {key: value for (owner, key), value in self.values.items() if owner == section}


def collect(file: IniFile, overrides: Sequence[str], strict: bool) -> Settings:
    """Gather the settings of `file` and of `overrides` (``section.key=value``), which win.

    Unknown names are warnings (problems if `strict`); misspelt names and unreadable values are problems.

    Raises:
        UserError: an override is not of the form, or names no key.
    """
    settings = Settings()
    known = dict(_known_sections(file, settings, strict))
    for entry in file.entries:
        if entry.section in known:
            _take_entry(entry, settings, strict)
    for text in overrides:
        _take_override(text, settings)
    return settings


def _known_sections(file: IniFile, settings: Settings, strict: bool) -> Iterable[tuple[str, int]]:
    for name, line in file.sections.items():
        found = find_section(name)
        if isinstance(found, Unknown):
            _report(found, Problem(name, "", Origin("file", line), found.problem), settings, strict)
        else:
            yield name, line


def _take_entry(entry: Entry, settings: Settings, strict: bool) -> None:
    found = find_key(entry.section, entry.key)
    if isinstance(found, Unknown):
        problem = Problem(entry.section, entry.key, Origin("file", entry.line), found.problem)
        _report(found, problem, settings, strict)
        return
    origin = Origin("file", entry.line, entry.key if entry.key != found else None)
    place = (entry.section, found)
    if place in settings.origins:
        first = settings.origins[place].line
        settings.problems.append(Problem(*place, origin, f"is the same key as in line {first}; keep one"))
        return
    settings.origins[place] = origin
    try:
        settings.values[place] = read_literal(entry.text)
    except NotLiteral as error:
        settings.problems.append(Problem(*place, origin, str(error)))


def _report(unknown: Unknown, problem: Problem, settings: Settings, strict: bool) -> None:
    (settings.problems if unknown.misspelt or strict else settings.warnings).append(problem)


def _take_override(text: str, settings: Settings) -> None:
    name, equals, value = text.partition("=")
    section, dot, key = (part.strip().lower() for part in name.partition("."))
    if not equals or not dot or not section or not key:
        raise UserError(f"--set {text}: write it as SECTION.KEY=VALUE, such as --set train.epochs=2")
    found = find_section(section)
    if not isinstance(found, Unknown):
        found = find_key(section, key)
    if isinstance(found, Unknown):
        raise UserError(f"--set {text}: {found.problem.replace(', ignored', '')}")
    settings.values[section, found] = _literal_or_text(value)
    settings.origins[section, found] = Origin("--set", spelling=key if key != found else None)
    settings.problems = [p for p in settings.problems if (p.section, p.key) != (section, found)]


def _literal_or_text(value: str) -> object:
    """Read a literal; anything else is text, because a shell takes quotes away."""
    try:
        return read_literal(value)
    except NotLiteral:
        return value.strip()
