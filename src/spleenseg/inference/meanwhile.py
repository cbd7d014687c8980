"""Work that a thread does while the program goes on."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Meanwhile(Generic[Result]):
    """What a thread of its own works on from now.

    Args:
        work: is run there; it should spend its time in native code, which leaves Python free.
    """

    def __init__(self, work: Callable[[], Result]) -> None:
        self._found: list[Result] = []
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, args=(work,))
        self._thread.start()

    def result(self) -> Result:
        """Wait for what was worked on, and return it; what was raised there is raised here."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._found[0]

    def _run(self, work: Callable[[], Result]) -> None:
        try:
            self._found.append(work())
        except BaseException as error:  # whatever it is, it belongs to the one who waits
            self._error = error
