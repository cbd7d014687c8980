"""A head start: the engine reads a large model while the program still loads its own modules.

Only the program does this. Whoever loads that model next takes over what was begun. Whatever goes wrong here is left
to the one who loads it, who does it again and says what is wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from spleenseg.inference.builtin import builtin_model, named
from spleenseg.inference.engine_choice import EXACT, EXPORTED_NAME, INT8, INT8_NAME, ONNX, OPENVINO, SUFFIX, fastest
from spleenseg.inference.meanwhile import Meanwhile
from spleenseg.inference.onnx_session import Layout, new_session, read_checked
from spleenseg.inference.openvino_network import import_without_telemetry, read_network

_PRECISION = "spleenseg.precision"


@dataclass(frozen=True)
class Asked:
    """What the command line asks for, as far as it decides what can be begun.

    Attributes:
        engine: as `--engine` names it; None: left open.
        precision: as `--precision` names it.
        threads: see `onnx_session.new_session`.
        few: whether there seem to be few slices, see `onnx_session.Layout`.
    """

    engine: str | None = None
    precision: str = EXACT
    threads: int | None = None
    few: bool = False


@dataclass(frozen=True, eq=False)
class Ahead:
    """A model on its way.

    Attributes:
        content: its bytes, checked as `read_checked` does.
        entries: its metadata.
        digest: SHA-256 of the content.
        threads: see `new_session`.
        layout: of the session.
        session: ONNX Runtime's; None where another engine runs it.
        network: OpenVINO's, see `openvino_network.read_network`; None where another engine runs it.
    """

    content: bytes
    entries: dict[str, str]
    digest: Meanwhile[str]
    threads: int | None
    layout: Layout
    session: Meanwhile[Any] | None
    network: Meanwhile[Any] | None

    @classmethod
    def of(cls, path: Path, asked: Asked) -> Ahead:
        """Read and check a model, then begin the rest."""
        content, entries = read_checked(path)
        precision = INT8 if entries.get(_PRECISION) == INT8 else asked.precision
        engine = asked.engine or fastest(precision) or ONNX
        layout = Layout.of(content, asked.few)
        session = network = None
        if engine == ONNX:
            session = Meanwhile(lambda: new_session(content, path, asked.threads, layout))
        elif engine == OPENVINO:
            network = Meanwhile(lambda: read_network(content, path))
        digest = Meanwhile(lambda: hashlib.sha256(content).hexdigest())
        return cls(content, entries, digest, asked.threads, layout, session, network)


_begun: dict[Path, Meanwhile[Ahead]] = {}


@contextmanager
def head_start(model: Path | None, asked: Asked) -> Iterator[None]:
    """Begin to load a model; within the block it is taken over by whoever loads it.

    Args:
        model: as asked for: an exported model, a run folder, the name of a built-in model; None: the default one.
        asked: what else is known.
    """
    with suppress(Exception):
        _begin(model, asked)
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


def _begin(model: Path | None, asked: Asked) -> None:
    path = _file_of(model, asked.precision)
    engine = asked.engine or fastest(asked.precision) or ONNX
    if path is None or engine not in (ONNX, OPENVINO):
        return
    _begun[path] = Meanwhile(lambda: Ahead.of(path, asked))
    # here, while the file is read: threads that import get in each other's way
    import_module("onnxruntime") if engine == ONNX else import_without_telemetry()


def _file_of(model: Path | None, precision: str) -> Path | None:
    """Return the exported model that is meant, None where there is none."""
    path = builtin_model() if model is None else named(model)
    path = path if path.suffix == SUFFIX else path / (INT8_NAME if precision == INT8 else EXPORTED_NAME)
    return path if path.is_file() else None
