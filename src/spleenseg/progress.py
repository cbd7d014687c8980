"""How long work tells what it is doing, without printing: the caller hands in a `Reporter`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Task(Protocol):
    """One running piece of work with a known or unknown number of steps."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count `steps` as done; `note` replaces the text shown beside the bar."""


class Reporter(Protocol):
    """Where progress and remarks go: the terminal, a notebook, or nowhere."""

    def task(self, title: str, total: int | None) -> AbstractContextManager[Task]:
        """Begin a piece of work of `total` steps (None: unknown)."""

    def say(self, message: str) -> None:
        """State a result or a fact, one line."""

    def warn(self, message: str) -> None:
        """State something the user should look at, one line."""


class _SilentTask:
    def advance(self, steps: int = 1, note: str = "") -> None:
        """Do nothing."""


class Silent:
    """A reporter that says nothing: the default of every function."""

    def task(self, title: str, total: int | None) -> AbstractContextManager[Task]:
        """Begin a piece of work nobody watches."""
        return nullcontext(_SilentTask())

    def say(self, message: str) -> None:
        """Do nothing."""

    def warn(self, message: str) -> None:
        """Do nothing."""


SILENT: Reporter = Silent()
