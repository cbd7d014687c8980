"""The kinds of value a key may hold: each knows what it accepts and says so when it refuses."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from spleenseg.config.literals import shown
from spleenseg.errors import did_you_mean

T = TypeVar("T")
_REFUSALS = (ValueError, TypeError, ArithmeticError)


@dataclass(frozen=True)
class Kind:
    """A validator for pydantic's ``Annotated`` types.

    Attributes:
        accepts: what it takes, to be read after "must be".
        convert: returns the value to keep, or raises `ValueError`; its message, if any, follows the
            refusal as a hint.
    """

    accepts: str
    convert: Callable[[Any], Any]

    def __call__(self, value: object, folder: Path = Path()) -> Any:
        """Return the value to keep; relative paths are taken from `folder`.

        Raises:
            ValueError: the value is not acceptable; the message is ready for the user.
        """
        try:
            return self.convert(value)
        except _REFUSALS as error:
            hint = str(error) if isinstance(error, ValueError) else ""
            raise ValueError(f"must be {self.accepts}, is {shown(value)}{hint}") from error

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let this kind alone decide about the value."""
        return core_schema.with_info_plain_validator_function(self._validate)

    def _validate(self, value: object, info: ValidationInfo) -> Any:
        return self(value, (info.context or {}).get("folder", Path()))


@dataclass(frozen=True)
class PathKind(Kind):
    """A file or folder name; relative ones are relative to the config's folder. `names` stand for themselves."""

    names: tuple[str, ...] = ()

    def __call__(self, value: object, folder: Path = Path()) -> Path | str | None:
        """Return the absolute path of what was written; None and names stay."""
        written = super().__call__(value)
        return written if written is None or written in self.names else absolute(folder, written)


def absolute(folder: Path, written: str | Path) -> Path:
    """Return `written` (relative to `folder`) as an absolute path, ``..`` folded unless a link forbids it."""
    joined = Path(folder, os.path.expanduser(written))  # noqa: PTH111  # Path.expanduser may raise
    tidy = Path(os.path.abspath(joined))  # noqa: PTH100  # keeps links by name, which Path.resolve does not
    try:
        return tidy if tidy.resolve() == joined.resolve() else joined.resolve()
    except (OSError, RuntimeError):  # links in a circle: whoever opens it says so
        return tidy


def flag() -> Kind:
    """True or False, also written 1 or 0."""
    return Kind("True or False", _flag)


def whole(low: int | None = None, high: int | None = None) -> Kind:
    """A whole number from `low` to `high`, both included."""
    limits = _limits(low, high)
    return Kind(f"a whole number{limits}", lambda value: _within(_whole(value), low, high))


def odd() -> Kind:
    """An odd whole number from 1 on: the side of a filter that has a middle."""
    return Kind(
        "an odd whole number from 1 to 999",
        lambda value: _check(value, _within(_whole(value), 1, 999) % 2 == 1),
    )


def number(low: float | None = None, high: float | None = None) -> Kind:
    """A finite number from `low` to `high`, both included; whole numbers stay whole."""
    return Kind(f"a number{_limits(low, high)}", lambda value: _within(_number(value), low, high))


def positive(below: float = math.inf, at_most: float = math.inf) -> Kind:
    """A number above 0, and below or at most a limit."""
    text = f" and below {below}" if below < math.inf else f" and at most {at_most}" if at_most < math.inf else ""
    return Kind(f"a number above 0{text}", lambda v: _check(v, 0 < _number(v) < below and v <= at_most))


def fraction_below_one() -> Kind:
    """A number from 0 up to, but not, 1."""
    return Kind("a number of at least 0 and below 1", lambda v: _check(v, 0 <= _number(v) < 1))


def text(example: str) -> Kind:
    """Text that is not empty."""
    return Kind(f'text such as "{example}"', _text)


def file_name(example: str) -> Kind:
    """The name of a file, without a folder."""
    return Kind(
        f'a file name without folder, such as "{example}"',
        lambda value: _check(value, not set(_text(value)) & set("/\\:") and value not in (".", "..")),
    )


def path(example: str) -> PathKind:
    """A path in quotes."""
    return PathKind(f'a path in quotes, such as "{example}"', _path)


def optional_path(example: str, *names: str) -> PathKind:
    """A path in quotes, None, or one of `names`."""
    known = "".join(f'"{name}", ' for name in names)
    return PathKind(f'{known}a path in quotes, such as "{example}", or None', _none_or_path, names)


def one_of(*names: str, prefix: str = "") -> Kind:
    """One of `names`, in any case and with or without `prefix`; kept as spelt here."""
    known = {name.lower(): name for name in names}

    def convert(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError
        word = value.strip().removeprefix(prefix)
        if word.lower() not in known:
            raise ValueError(did_you_mean(word, names))
        return known[word.lower()]

    return Kind(_either([f'"{name}"' for name in names]), convert)


def listed(item: Kind, example: str, low: int = 0, high: int | None = None) -> Kind:
    """A list or tuple of `low` to `high` entries; kept as a tuple."""
    count = f" of {low}" if low == high else f" of at least {low}" if low > 1 else ""
    accepts = f"a list{count}, each entry {item.accepts}, such as {example}"

    def convert(value: object) -> tuple[Any, ...]:
        entries = _entries(value)
        if len(entries) < low or (high is not None and len(entries) > high):
            raise ValueError
        return tuple(_entry(item, place, entry) for place, entry in enumerate(entries, start=1))

    return Kind(accepts, convert)


def pair(item: Kind, example: str) -> Kind:
    """Two values in a list or tuple; kept as a tuple."""
    return listed(item, example, 2, 2)


def span(item: Kind, example: str) -> Kind:
    """A range: its lowest and its highest value, which may be the same; kept as a tuple."""

    def convert(value: object) -> tuple[Any, ...]:
        low, high = listed(item, example, 2, 2).convert(value)
        return tuple(_check((low, high), low <= high))

    return Kind(f"a range (lowest, highest), both {item.accepts}, such as {example}", convert)


def windows() -> Kind:
    """One or several HU windows (low, high), low below high; kept as a tuple of tuples."""
    window = Kind("(low, high) in HU with low below high", _window)
    return listed(window, "[(-160, 240), (-1000, 400)]", 1)


def optional(kind: Kind) -> Kind:
    """What `kind` takes, or None."""
    return Kind(f"{kind.accepts}, or None", lambda value: None if value is None else kind.convert(value))


def optional_list(kind: Kind) -> Kind:
    """What the list `kind` takes; an empty one means None."""
    return Kind(f"{kind.accepts}, or None", lambda value: None if value in (None, [], ()) else kind.convert(value))


def any_of(*kinds: Kind) -> Kind:
    """What any of `kinds` takes, the first that does."""

    def convert(value: object) -> Any:
        for kind in kinds:
            try:
                return kind.convert(value)
            except _REFUSALS:
                continue
        raise ValueError

    return Kind(", or ".join(kind.accepts for kind in kinds), convert)


def anything() -> Kind:
    """Whatever a file may hold under a key that nothing reads; lists are kept as tuples."""
    return Kind("text, True, False, None, a number, or a list or dictionary of these", _plain)


def color() -> Kind:
    """A colour by its name, or as ``#rrggbb``; kept as written."""
    return Kind('a colour name such as "green", or "#rrggbb"', _color)


def _color(value: object) -> str:
    from spleenseg.config.colors import is_color, similar_color

    name = _text(value)
    if not is_color(name):
        raise ValueError(similar_color(name))
    return name


def _plain(value: object) -> object:
    if isinstance(value, list | tuple):
        return tuple(_plain(entry) for entry in value)
    if isinstance(value, dict):
        return {_plain(key): _plain(entry) for key, entry in value.items()}
    return value if value is None or isinstance(value, bool | str) else _number(value)


def _flag(value: object) -> bool:
    if value in (0, 1) and isinstance(value, int):
        return bool(value)
    raise ValueError(did_you_mean(value, ("True", "False")) if isinstance(value, str) else "")


def _window(value: object) -> tuple[Any, ...]:
    low, high = (_number(entry) for entry in _entries(value))
    return tuple(_check((low, high), low < high))


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    if not value.isprintable():
        raise ValueError(" (it holds a control character; write / instead of \\)")
    return value


def _none_or_path(value: object) -> str | Path | None:
    return None if value is None else _path(value)


def _path(value: object) -> str | Path:
    return value if isinstance(value, Path) else _text(value)


def _entries(value: object) -> list[object] | tuple[object, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError
    return value


def _entry(item: Kind, place: int, entry: object) -> Any:
    try:
        return item.convert(entry)
    except _REFUSALS:
        raise ValueError(f" (entry {place} is {shown(entry)})") from None


def _within(value: T, low: float | None, high: float | None) -> T:
    return _check(value, (low is None or value >= low) and (high is None or value <= high))  # type: ignore


def _check(value: T, holds: bool) -> T:
    if not holds:
        raise ValueError
    return value


def _limits(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low} to {high}"
    return f" of at least {low}" if low is not None else f" of at most {high}" if high is not None else ""


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
