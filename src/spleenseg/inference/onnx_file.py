"""What an ONNX file holds, read from its bytes without running it and without the package `onnx`.

An ONNX file is a Protocol Buffers message `ModelProto`. Its encoding is walked here just deep enough to read
the metadata and to find tensors whose numbers lie in other files, which are never followed.
See protobuf.dev/programming-guides/encoding, and onnx.proto3 for the numbers of the fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from spleenseg.errors import UserError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_WIDTH = {_FIXED64: 8, _FIXED32: 4}
_GRAPH, _METADATA, _FUNCTION = 7, 14, 25  # of ModelProto
_KEY, _VALUE = 1, 2  # of StringStringEntryProto
_DEEPEST = 40
_MOST_VARINT_BYTES = 10

_CHILDREN: dict[str, dict[int, str]] = {  # message -> field -> message: every way that leads to a tensor
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_ROOTS = {_GRAPH: "graph", _FUNCTION: "function"}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of TensorProto; either says that the numbers lie elsewhere


class _MalformedError(Exception):
    pass


class _Field(NamedTuple):
    number: int
    value: int  # of a varint
    start: int
    end: int  # of the bytes, where the field holds some; else end = start


def read_metadata(content: bytes, path: Path) -> dict[str, str]:
    """Return the metadata of an ONNX file that is complete in itself.

    Args:
        content: of the file.
        path: its name, for errors.

    Raises:
        UserError: no ONNX file, a damaged one, or one that keeps its numbers in other files.
    """
    try:
        fields = list(_fields(content, 0, len(content)))
        if not any(field.number == _GRAPH for field in fields):
            raise _MalformedError
        entries = dict(_entry(content, field) for field in fields if field.number == _METADATA)
        roots = [(_ROOTS[field.number], field) for field in fields if field.number in _ROOTS]
        external = any(_external(content, kind, field) for kind, field in roots)
    except (_MalformedError, UnicodeDecodeError):
        raise UserError(f"{path} is no ONNX model, or a damaged one; export it again") from None
    if external:
        raise UserError(f"{path} keeps its weights in other files, which are not followed; export it as one file")
    return entries


def _external(content: bytes, kind: str, field: _Field, depth: int = 0) -> bool:
    """Tell whether a message or anything in it is a tensor whose numbers lie in another file."""
    if depth > _DEEPEST:
        raise _MalformedError
    children = _CHILDREN[kind]
    for inner in _fields(content, field.start, field.end):
        if kind == "tensor" and (inner.number == _EXTERNAL_DATA or (inner.number == _DATA_LOCATION and inner.value)):
            return True
        if inner.number in children and _external(content, children[inner.number], inner, depth + 1):
            return True
    return False


def _entry(content: bytes, field: _Field) -> tuple[str, str]:
    texts = {inner.number: content[inner.start : inner.end] for inner in _fields(content, field.start, field.end)}
    return texts.get(_KEY, b"").decode(), texts.get(_VALUE, b"").decode()


def _fields(content: bytes, start: int, end: int) -> Iterator[_Field]:
    """Yield the fields of the message in content[start:end], without looking into them."""
    while start < end:
        tag, start = _varint(content, start, end)
        number, wire = tag >> 3, tag & 7
        value, length = 0, _FIXED_WIDTH.get(wire, 0)
        if wire == _VARINT:
            value, start = _varint(content, start, end)
        elif wire == _BYTES:
            length, start = _varint(content, start, end)
        elif wire not in _FIXED_WIDTH:
            raise _MalformedError
        if number == 0 or start + length > end:
            raise _MalformedError
        yield _Field(number, value, start, start + length)
        start += length


def _varint(content: bytes, start: int, end: int) -> tuple[int, int]:
    """Return the number at `start`, seven bits a byte from the lowest up, and where it ends."""
    value = 0
    for place in range(start, min(end, start + _MOST_VARINT_BYTES)):
        value |= (content[place] & 0x7F) << (7 * (place - start))
        if content[place] < 0x80:
            return value, place + 1
    raise _MalformedError
