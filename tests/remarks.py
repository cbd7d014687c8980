"""A reporter that keeps what it is told."""

from __future__ import annotations

from spleenseg.progress import Silent


class Remarks(Silent):
    """Keeps what is said and warned, in order.

    Attributes:
        said, warnings: of either kind.
        lines: of both.
    """

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warnings: list[str] = []
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)
        self.lines.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)
        self.lines.append(message)
