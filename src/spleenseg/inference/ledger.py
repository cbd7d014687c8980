"""What spleenseg made in a folder, so that it overwrites only that and never anything else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel, ValidationError

from spleenseg.errors import UserError
from spleenseg.files import sha256, write_json
from spleenseg.volumes.dicom.members import members

LEDGER_NAME = ".spleenseg.json"
_LEFTOVERS = ".writing-*"
_DESKTOP_FILES = frozenset({"thumbs.db", "desktop.ini"})


def source_of(path: Path) -> str:
    """Return the SHA-256 of an input, by which the record knows it; of a folder, that of its DICOM files together.

    Raises:
        UserError: it cannot be read.
    """
    try:
        if path.is_dir():
            files = [member.path for member in members(path)]
            return hashlib.sha256("".join(f"{file.name}\0{sha256(file)}\n" for file in files).encode()).hexdigest()
        return sha256(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error


class Item(BaseModel):
    """One input's outputs: what they were made from, with what, and the files' SHA-256."""

    source: str
    settings: str
    files: dict[str, str | None]  # None: about to be written; the name was free or ours when that was noted
    rows: list[list[str | int | float | None]] = []


class _Page(BaseModel):
    version: int = 1
    items: dict[str, Item] = {}


class Ledger:
    """The record of our own files in one folder, kept in the folder as `.spleenseg.json`.

    A name is noted before it is written and sealed with its SHA-256 afterwards. A file is ours if it is
    noted and unsealed (a killed run left it) or still has the sealed content. A run that fails or is interrupted
    takes back what it noted: names without a file are free again.

    Raises:
        UserError: the folder is a file, or the record is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / LEDGER_NAME
        self._page = _Page()
        self._before: dict[str, Item | None] = {}  # of each input that this run has begun and not finished
        self._is_saved = True
        if folder.exists() and not folder.is_dir():
            raise UserError(f"output folder {folder} is a file; give a folder")
        if self.path.is_file():
            self._page = self._read()
            self._sweep()
        self._owners = {file: name for name, item in self.items.items() for file in item.files}

    @property
    def items(self) -> Mapping[str, Item]:
        """What was made, by the name of its input."""
        return self._page.items

    def existing(self) -> list[str]:
        """Names in the record that lie in the folder, sorted."""
        return sorted(file for file in self._owners if (self.folder / file).exists())

    def strangers(self) -> list[str]:
        """Names in the folder that are not in the record (hidden and desktop files apart), sorted."""
        if not self.folder.is_dir():
            return []
        names = {path.name for path in self.folder.iterdir()} - self._owners.keys()
        return sorted(name for name in names if name[0] != "." and name.lower() not in _DESKTOP_FILES)

    def finished(self, name: str, source: str, settings: str, files: Iterable[str]) -> bool:
        """Tell whether `files` were all made of this source with these settings, and are all still there."""
        item = self.items.get(name)
        if item is None or (item.source, item.settings) != (source, settings):
            return False
        return all(item.files.get(file) and (self.folder / file).is_file() for file in files)

    def begin(self, name: str, source: str, settings: str, files: Sequence[str]) -> None:
        """Note that `files` are about to be made; call `save` before the first is written.

        Raises:
            UserError: one of them exists and is not ours, or was changed since we wrote it.
        """
        self.require_ours(files)
        self._is_saved = False
        old = self.items.get(name)
        self._before.setdefault(name, old)
        kept = {file: seal for file, seal in old.files.items() if file not in files} if old else {}
        self._page.items[name] = Item(source=source, settings=settings, files=kept | dict.fromkeys(files))
        self._owners.update(dict.fromkeys(files, name))

    def finish(self, name: str, rows: Sequence[Sequence[str | int | float | None]] = ()) -> None:
        """Seal the files of `name` that were written, with their table rows; call `save` afterwards."""
        self._before.pop(name, None)
        self._is_saved = False
        update = {"files": self._sealed(name), "rows": [list(row) for row in rows]}
        self._page.items[name] = self.items[name].model_copy(update=update)

    def abandon(self) -> None:
        """Take back what was begun and not finished; call `save` afterwards.

        What was written is sealed as it is, so that a correction by hand is known, but counts as unfinished; names
        without a file are the user's again. Where all files of an earlier result are as they were, it stays.
        """
        for name, before in self._before.items():
            files = self._sealed(name)
            unfinished = Item(source="", settings=self.items[name].settings, files={})
            item = before if before is not None and before.files.items() <= files.items() else unfinished
            self._forget(name)
            if files:
                self._page.items[name] = item.model_copy(update={"files": files})
                self._owners.update(dict.fromkeys(files, name))
        self._before.clear()

    @contextmanager
    def undone_if_it_fails(self) -> Iterator[None]:
        """Abandon what is unfinished, and save that, if the block raises anything."""
        try:
            yield
        except BaseException:
            if not self._is_saved:
                with suppress(UserError, OSError):  # a disk that can be written to no more must not hide why
                    self.abandon()
                    self.save()
            raise

    def require_ours(self, files: Iterable[str]) -> None:
        """Check that `files` may be written.

        Raises:
            UserError: one of them exists and is not ours, or was changed since we wrote it.
        """
        for file in files:
            self._require_ours(file)

    def save(self) -> None:
        """Write the record, sorted: the order in which inputs were finished, or failed before, leaves no trace."""
        items = dict(sorted(self.items.items()))
        write_json(self.path, self._page.model_copy(update={"items": items}).model_dump())
        self._is_saved = not self._before

    def _require_ours(self, file: str) -> None:
        path = self.folder / file
        if not path.exists() and not path.is_symlink():
            return
        if file not in self._owners:
            raise UserError(f"{path} exists and spleenseg did not make it; choose another output folder")
        seal = self.items[self._owners[file]].files[file]
        if seal is not None and (not path.is_file() or sha256(path) != seal):
            raise UserError(f"{path} was changed since spleenseg wrote it; move it, or choose another folder")

    def _sealed(self, name: str) -> dict[str, str | None]:
        """Return the files of `name` that are there, or were sealed, with their SHA-256."""
        seals = {file: seal or self._sha256(file) for file, seal in self.items[name].files.items()}
        return {file: seal for file, seal in seals.items() if seal}

    def _sha256(self, file: str) -> str | None:
        path = self.folder / file
        return sha256(path) if path.is_file() else None

    def _forget(self, name: str) -> None:
        for file in self._page.items.pop(name).files:
            self._owners.pop(file, None)  # another input may have taken the name over

    def _read(self) -> _Page:
        try:
            return _Page.model_validate(json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError, ValidationError) as error:
            raise UserError(f"{self.path} is damaged; choose another output folder") from error

    def _sweep(self) -> None:
        """Remove what a killed run of ours left half written."""
        for leftover in self.folder.glob(_LEFTOVERS):
            leftover.unlink(missing_ok=True)
