"""Where a setting comes from, and how an error names the place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spleenseg.errors import UserError


@dataclass(frozen=True)
class Origin:
    """Where a value was given.

    Attributes:
        source: the config file, the command line, or nowhere (the schema's default).
        line: line in the file, counted from 1; None for the other sources.
        spelling: the key as the user wrote it, where that differs from its name here (``alpah``).
    """

    source: Literal["file", "--set", "default"]
    line: int | None = None
    spelling: str | None = None

    def __str__(self) -> str:
        return f"line {self.line}" if self.line is not None else self.source


DEFAULT = Origin("default")


@dataclass(frozen=True)
class Problem:
    """Something wrong with one key (or, with an empty key, with a whole section)."""

    section: str
    key: str
    origin: Origin
    text: str

    def located(self, path: Path) -> str:
        """Return ``FILE: [section] key (line N): what is wrong``."""
        spelling = self.origin.spelling or self.key
        return f"{place(path, self.section, spelling, self.origin.line, self.origin.source)}: {self.text}"


def place(path: Path, section: str = "", key: str = "", line: int | None = None, source: str = "file") -> str:
    """Return ``FILE: [section] key (line N)`` with what is known of it; FILE as seen from here."""
    parts = [f"[{section}]" if section else "", key]
    parts.append(f"(line {line})" if line is not None else "(--set)" if source == "--set" else "")
    setting = " ".join(part for part in parts if part)
    return f"{_seen_from_here(path)}: {setting}" if setting else str(_seen_from_here(path))


def first_of(problems: list[Problem], path: Path) -> UserError:
    """Return the error for the first of `problems`, counting the others.

    First come those of the command line, then the file's in its order, then what is missing from both.
    """
    ordered = sorted(problems, key=_order)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return UserError(ordered[0].located(path) + more)


def _order(problem: Problem) -> tuple[int, int]:
    return ("--set", "file", "default").index(problem.origin.source), problem.origin.line or 0


def _seen_from_here(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except (OSError, ValueError):
        return path
