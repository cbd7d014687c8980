"""The reporter of the command line: progress bars with time left, remarks, and warnings on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from spleenseg.progress import Task


class _BarTask:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._progress.update(self._task, advance=steps, note=note)


class Terminal:
    """Shows tasks as bars on standard error and says results on standard output.

    Args:
        quiet: show no bars and say nothing; warnings stay.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._out = Console(highlight=False, soft_wrap=True)
        self._err = Console(stderr=True, highlight=False, soft_wrap=True)
        self._progress: Progress | None = None

    def task(self, title: str, total: int | None) -> AbstractContextManager[Task]:
        """Show a bar; a task begun inside another one is a second bar below it."""
        return self._bar(title, total)

    def say(self, message: str) -> None:
        """Print a line on standard output, above the bars."""
        if not self._quiet:
            self._out.print(message, markup=False)

    def warn(self, message: str) -> None:
        """Print a warning line on standard error."""
        self._err.print(f"warning: {message}", markup=False, style="yellow")

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
            disable=self._quiet,
        )
