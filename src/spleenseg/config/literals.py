"""Values as they stand in the file: Python literals, read without ever running anything."""

from __future__ import annotations

import ast
import re
import warnings

from spleenseg.errors import did_you_mean

_WORD = re.compile(r"[A-Za-z_][\w.]*")
_FORMS = 'a number, "text", True, False, None, a list or a tuple'
_LONGEST = 10_000  # characters of one value; a longer one is no setting, and may exhaust the parser
_PLAIN = (ast.Module, ast.Expr, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Constant, ast.Name, ast.Load)
_UNREADABLE = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


class NotLiteral(ValueError):  # noqa: N818  # names what the text is, as NotImplemented does
    """The text is not a literal; the message says why, in words that follow the key's name."""


def shown(value: object) -> str:
    """Return `value` as it would be written in the file, shortened to one line of at most 60 characters."""
    try:
        text = " ".join((value if isinstance(value, NotedText) else repr(value)).split())
    except ValueError:  # Python refuses to write integers of thousands of digits
        return "a huge number"
    return text if len(text) <= 60 else text[:57] + "..."


class NotedText(str):
    """Source text to be shown as it stands, without quotes around it."""


def read_literal(text: str) -> object:
    """Return the value of a Python literal, possibly followed by a ``# comment``.

    Raises:
        NotLiteral: `text` is empty, a bare word, code, or does not parse.
    """
    if not text.strip():
        raise NotLiteral("has no value; write one, or None, or delete the line")
    if len(text) > _LONGEST:
        raise NotLiteral(f"is longer than {_LONGEST} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a path: deprecated by Python, meant by the user
            return ast.literal_eval(text)
    except _UNREADABLE as error:
        raise NotLiteral(_why_not(text.strip())) from error


def _why_not(text: str) -> str:
    quoted = shown(NotedText(text))
    if _WORD.fullmatch(text):
        return f"is {_unquoted(text)}"
    if "\\" in text:
        return f"cannot be read: {quoted}; write / instead of \\ in paths"
    nodes = _nodes(text)
    if nodes is None:
        return f"cannot be read: {quoted}; write {_FORMS}, with matching quotes and brackets"
    names = [node.id for node in nodes if isinstance(node, ast.Name)]
    if names and all(isinstance(node, _PLAIN) for node in nodes):
        return f"holds {_unquoted(names[0])}"
    return f"is code, which is never run: {quoted}; write {_FORMS}"


def _unquoted(word: str) -> str:
    hint = did_you_mean(word, ("True", "False", "None"))
    return f'the bare word {shown(NotedText(word))}; text is written in quotes, "like this"{hint}'


def _nodes(text: str) -> list[ast.AST] | None:
    """Return every node of `text` read as Python, without running it; None where it is not Python."""
    try:
        return list(ast.walk(ast.parse(text)))
    except _UNREADABLE:
        return None
