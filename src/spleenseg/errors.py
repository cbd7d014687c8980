"""The one error type a user can cause, and the exit codes of every command."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit status of a command."""

    DONE = 0
    FINDINGS = 1  # finished, but with findings or with some scans failed
    USER_ERROR = 2  # the user can fix it; one line was printed
    INTERRUPTED = 130  # stopped by the user; state is saved


class UserError(Exception):
    """Something the user can fix: what, where and what to do, in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the nearest of `known`, or an empty string."""
    lowered = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return f" (did you mean '{lowered[near[0]]}'?)" if near else ""


def install_command(*extras: str) -> str:
    """Return what installs extras of this program, in words: the package of its name on PyPI is another project."""
    return f'pip install ".[{",".join(extras)}]" in the folder of spleenseg\'s source'
