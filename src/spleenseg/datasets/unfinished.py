"""What `prepare` notes in a dataset folder while it works, so that a killed run can be continued."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from spleenseg.datasets.likeness import Print
from spleenseg.datasets.manifest import UNFINISHED_NAME, CaseRecord, Request
from spleenseg.datasets.reading import KEY_NAME
from spleenseg.errors import UserError
from spleenseg.files import atomic, require_free_folder, write_json

LEFTOVERS = ".writing-*"
"""Files that a killed run had not finished."""

_REQUEST_NAME = "request.json"
_MOST_DEPTH = 5  # folders below the dataset that hold files of ours


@dataclass(frozen=True)
class Done:
    """A case that is written: its record (not yet in a split), and its print."""

    record: CaseRecord
    cells: Print


@dataclass(frozen=True)
class Unfinished:
    """The notes in ``DATASET/.prepare``; they are ours alone and go when the manifest is written."""

    dataset: Path

    @property
    def folder(self) -> Path:
        """Where the notes lie, and slices that are not in their split yet."""
        return self.dataset / UNFINISHED_NAME

    def claim(self, request: Request, resume: bool) -> None:
        """Make the dataset folder ours by noting the request in it, or recognise our own, begun earlier.

        Raises:
            UserError: the folder is in use, or was begun with another request.
        """
        begun = self.folder / _REQUEST_NAME
        if not resume or self.dataset.is_file():
            require_free_folder(self.dataset, "dataset", beside=(KEY_NAME,))
        if begun.is_file():
            require_same_request(_read_request(begun), request, self.dataset)
            for depth in range(1, _MOST_DEPTH):
                for leftover in self.dataset.glob("/".join(["*"] * depth + [LEFTOVERS])):
                    leftover.unlink(missing_ok=True)
            return
        if self.dataset.is_dir() and any(
            path.name not in (UNFINISHED_NAME, KEY_NAME) for path in self.dataset.iterdir()
        ):
            raise UserError(f"{self.dataset} was not begun by prepare; give a new folder")
        write_json(begun, request.model_dump(mode="json"))

    def note(self, case: str, done: Done) -> None:
        """Note that a case is written: the last thing that is done for it."""
        with atomic(self._cells(case)) as temporary, temporary.open("wb") as file:
            np.save(file, done.cells, allow_pickle=False)
        write_json(self._record(case), done.record.model_dump(mode="json"))

    def done(self) -> dict[str, Done]:
        """Return what is noted, by case; cases whose notes cannot be read are done again."""
        found = {}
        for path in sorted(self._record("").parent.glob("[!.]*.json")):
            with suppress(OSError, ValueError, EOFError):
                record = CaseRecord.model_validate_json(path.read_bytes())
                found[path.stem] = Done(record, np.load(self._cells(path.stem), allow_pickle=False))
        return found

    def remove(self) -> None:
        """Remove the notes: the manifest says it all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _record(self, case: str) -> Path:
        return self.folder / "cases" / f"{case}.json"

    def _cells(self, case: str) -> Path:
        return self.folder / "prints" / f"{case}.npy"


def require_same_request(before: Request, now: Request, dataset: Path) -> None:
    """Refuse to continue a dataset with another request.

    Raises:
        UserError: naming what differs.
    """
    difference = before.difference(now)
    if difference:
        raise UserError(f"{dataset} was begun with other settings: {difference}; repeat those, or give a new folder")


def _read_request(path: Path) -> Request:
    try:
        return Request.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UserError(f"{path} is damaged; prepare into a new folder") from error
