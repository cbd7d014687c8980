"""The config file's syntax: sections, ``key = value`` lines and comments, each with its line number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from spleenseg.config.literals import NotedText, shown
from spleenseg.config.places import place
from spleenseg.errors import UserError

_LARGEST = 1_000_000  # bytes; a config is a few kilobytes
_LONGEST_LINE = 10_000  # characters
_LINE_END = re.compile(r"\r\n|\r|\n")
_SECTION = re.compile(r"\[([^\[\]]*)\]\s*(?:[;#].*)?")
_KEY = re.compile(r"([^=:]*?)\s*[=:](.*)", re.DOTALL)
_STATEMENT = re.compile(r"\[\s*[A-Za-z_][\w ]*\]|[A-Za-z_]\w*\s*[=:]")
_TOKEN = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^'"#;()\[\]{}]+|.""", re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """One ``key = value`` of the file; `text` is the value as written, without comments."""

    section: str
    key: str
    text: str
    line: int


@dataclass(frozen=True)
class IniFile:
    """What a config file says: the line of every section header, and every entry in its order."""

    path: Path
    sections: dict[str, int]
    entries: tuple[Entry, ...]


def read_ini(path: Path) -> IniFile:
    """Read a config file: UTF-8 with or without a byte order mark, any line ends.

    Raises:
        UserError: the file is missing, a folder, unreadable or not text, or a line is not understood.
    """
    return parse_ini(_read_text(path), path)


def parse_ini(text: str, path: Path) -> IniFile:
    """Parse the text of a config file; `path` is only named in errors.

    Section and key names are case-insensitive. Lines that start with ``;`` or ``#`` are comments; both
    also begin a comment after a value, outside quotes. A value may go on over several lines while a
    bracket is open.

    Raises:
        UserError: a line is not understood, stands before any section, or repeats a key or section.
    """
    parser = _Parser(path)
    for number, line in enumerate(_LINE_END.split(text), start=1):
        parser.feed(number, line.strip())
    return IniFile(path, parser.sections, tuple(parser.entries))


def _read_text(path: Path) -> str:
    if path.is_dir():
        raise UserError(f"{place(path)}: is a folder; give the config file in it")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{place(path)}: no such config file (`spleenseg config new DIR` starts one)") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{place(path)}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > _LARGEST:
        raise UserError(f"{place(path)}: is larger than 1 MB, so it is not a config file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{place(path, line=line)}: is not UTF-8 text; save the file as UTF-8") from error


@dataclass
class _Parser:
    path: Path
    sections: dict[str, int] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    lines: dict[tuple[str, str], int] = field(default_factory=dict)
    section: str | None = None
    open_brackets: int = 0

    def feed(self, number: int, line: str) -> None:
        if not line or line[0] in ";#":
            return
        if len(line) > _LONGEST_LINE:
            self._fail(number, f"is longer than {_LONGEST_LINE} characters; is this a config file?")
        if self.open_brackets > 0 and not _STATEMENT.match(line):
            self._continue_value(line)
        elif line.startswith("["):
            self._begin_section(number, line)
        else:
            self._begin_entry(number, line)

    def _begin_section(self, number: int, line: str) -> None:
        self.open_brackets = 0
        match = _SECTION.fullmatch(line)
        name = match[1].strip().lower() if match else ""
        if not name:
            self._fail(number, f"expected a section header like [train], found {shown(NotedText(line))}")
        if name in self.sections:
            self._fail(number, f"[{name}] was begun before, in line {self.sections[name]}; join the two")
        self.sections[name] = number
        self.section = name

    def _begin_entry(self, number: int, line: str) -> None:
        match = _KEY.fullmatch(line)
        if match is None or not match[1]:
            self._fail(number, f"expected key = value, [section] or ; comment, found {shown(NotedText(line))}")
        if self.section is None:
            self._fail(number, f"{shown(NotedText(match[1]))} stands before any [section]")
        key = match[1].lower()
        first = self.lines.setdefault((self.section, key), number)
        if first != number:
            where = place(self.path, self.section, key, number)
            raise UserError(f"{where}: is set twice, first in line {first}; keep one")
        text = _without_comment(match[2])
        self.entries.append(Entry(self.section, key, text, number))
        self.open_brackets = _open_brackets(text)

    def _continue_value(self, line: str) -> None:
        begun = self.entries.pop()
        text = _without_comment(line)
        self.entries.append(Entry(begun.section, begun.key, f"{begun.text}\n{text}", begun.line))
        self.open_brackets += _open_brackets(text)

    def _fail(self, number: int, problem: str) -> NoReturn:
        raise UserError(f"{place(self.path, line=number)}: {problem}")


def _tokens(text: str) -> Iterator[str]:
    """Yield quoted strings, single marks and the stretches between them."""
    return (match[0] for match in _TOKEN.finditer(text))


def _without_comment(text: str) -> str:
    kept = []
    for token in _tokens(text):
        if token in ("#", ";"):
            break
        kept.append(token)
    return "".join(kept).strip()


def _open_brackets(text: str) -> int:
    tokens = list(_tokens(text))
    return sum(token in ("(", "[", "{") for token in tokens) - sum(token in (")", "]", "}") for token in tokens)
