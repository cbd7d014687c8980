"""The reporter of the command line: progress bars with time left, remarks, and warnings on standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from spleenseg.progress import SILENT, Task

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


class _BarTask:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._progress.update(self._task, advance=steps, note=note)


class Terminal:
    """Shows tasks as bars on standard error and says results on standard output.

    Rich is loaded only where it is needed, which is not for a warning into a file.

    Args:
        quiet: show no bars and say nothing; warnings stay.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._progress: Progress | None = None

    def task(self, title: str, total: int | None) -> AbstractContextManager[Task]:
        """Show a bar; a task begun inside another one is a second bar below it."""
        return SILENT.task(title, total) if self._quiet else self._bar(title, total)

    def say(self, message: str) -> None:
        """Print a line on standard output, above the bars."""
        if not self._quiet:
            self._out.print(message, markup=False)

    def warn(self, message: str) -> None:
        """Print a warning line on standard error."""
        line = f"warning: {message}"
        if self._progress is None and not sys.stderr.isatty() and "FORCE_COLOR" not in os.environ:
            print(line, file=sys.stderr)  # noqa: T201
        else:
            self._err.print(line, markup=False, style="yellow")

    @cached_property
    def _out(self) -> Console:
        from rich.console import Console

        return Console(highlight=False, soft_wrap=True)

    @cached_property
    def _err(self) -> Console:
        from rich.console import Console

        return Console(stderr=True, highlight=False, soft_wrap=True)

    @contextmanager
    def _bar(self, title: str, total: int | None) -> Iterator[Task]:
        outermost = self._progress is None
        if self._progress is None:
            self._progress = self._new_progress()
            self._progress.start()
        progress = self._progress
        task = progress.add_task(title, total=total, note="")
        try:
            yield _BarTask(progress, task)
        finally:
            if outermost:
                progress.stop()
                self._progress = None
            else:
                progress.remove_task(task)

    def _new_progress(self) -> Progress:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        return Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._err,
            transient=True,
        )
