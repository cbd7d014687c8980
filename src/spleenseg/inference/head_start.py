"""A head start: ONNX Runtime reads a large model while the program still loads its own modules.

Only the program does this. Whoever loads that model next takes over what was begun. Whatever goes wrong here is left
to the one who loads it, who does it again and says what is wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spleenseg.errors import UserError
from spleenseg.inference.builtin import DEFAULT, named
from spleenseg.inference.meanwhile import Meanwhile
from spleenseg.inference.onnx_session import new_session, read_checked

EXPORTED_NAME = "model.onnx"
"""Where a run folder keeps its exported model."""
SUFFIX = ".onnx"
_PRECISION = "spleenseg.precision"


@dataclass(frozen=True, eq=False)
class Ahead:
    """A model on its way.

    Attributes:
        content: its bytes, checked as `read_checked` does.
        entries: its metadata.
        threads: see `new_session`.
        digest: SHA-256 of the content.
        session: of the content; None of a model in int8, which another engine may run.
    """

    content: bytes
    entries: dict[str, str]
    threads: int | None
    digest: Meanwhile[str]
    session: Meanwhile[Any] | None

    @classmethod
    def of(cls, path: Path, threads: int | None) -> Ahead:
        """Read and check a model, then begin the rest."""
        content, entries = read_checked(path)
        exact = entries.get(_PRECISION) != "int8"
        session = Meanwhile(lambda: new_session(content, path, threads)) if exact else None
        return cls(content, entries, threads, Meanwhile(lambda: hashlib.sha256(content).hexdigest()), session)


_begun: dict[Path, Meanwhile[Ahead]] = {}


@contextmanager
def head_start(model: Path | None, engine: str | None, threads: int | None) -> Iterator[None]:
    """Begin to load a model; within the block it is taken over by whoever loads it.

    Args:
        model: as asked for: an exported model, a run folder, the name of a built-in model; None: the default one.
        engine: as asked for.
        threads: see `new_session`.
    """
    path = _file_of(model or Path(DEFAULT))
    if path is not None and engine in (None, "onnx"):
        _begun[path] = Meanwhile(lambda: Ahead.of(path, threads))
        with suppress(ImportError):  # here, while the file is read: threads that import get in each other's way
            import onnxruntime  # noqa: F401
    try:
        yield
    finally:
        _begun.clear()


def begun(path: Path) -> Ahead | None:
    """Return what was begun of a model, once; None if nothing was, or it failed."""
    found = _begun.pop(path, None)
    try:
        return found.result() if found else None
    except Exception:
        return None


def _file_of(model: Path) -> Path | None:
    """Return the exported model that a word means, None where there is none."""
    try:
        path = named(model)
    except UserError:
        return None
    path = path if path.suffix == SUFFIX else path / EXPORTED_NAME
    return path if path.is_file() else None
