"""One file over HTTP from several mirrors: continued where it broke off, and taken only if its checksum is right."""

from __future__ import annotations

import hashlib
import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spleenseg.errors import UserError
from spleenseg.progress import SILENT, Reporter

_CHUNK = 1 << 18
_MB = 1 << 20
_TIMEOUT = 30.0  # seconds without a byte
_ATTEMPTS = 5  # in a row without a new byte, before a mirror is given up
_LARGEST = 64 << 30  # bytes
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # states of a server that may be gone in a moment
_BROKEN = (OSError, http.client.HTTPException)  # URLError, timeouts and resets are OSErrors


class _MirrorError(Exception):
    """This mirror cannot give the file; another one may."""


class _DroppedError(Exception):
    """The connection ended too early; what came so far is kept."""


def fetch(urls: Sequence[str], target: Path, md5: str, *, wait: float = 1.0, reporter: Reporter = SILENT) -> Path:
    """Download a file, unless it is there.

    What has come is kept in ``{target}.part`` and continued, also by a later call. A server that cannot continue
    begins anew. A file whose checksum is wrong is fetched once more as a whole, then the next mirror is asked.

    Args:
        urls: mirrors, http or https, the best first.
        target: the file to write.
        md5: its checksum, 32 hex digits.
        wait: seconds before the second attempt; doubled each time.
        reporter: shows progress, and is warned of mirrors that fail.

    Raises:
        UserError: another file lies at `target`, an address that is not HTTP, or no mirror has the file.
    """
    for url in urls:
        if not url.lower().startswith(("http://", "https://")):
            raise UserError(f"--url {url}: give an address that begins with https:// or http://")
    if target.exists():
        _require_right(target, md5)
        return target
    part = target.with_name(target.name + ".part")
    problems = []
    for url in urls:
        try:
            _from_mirror(url, part, md5, wait, reporter)
            part.replace(target)
            return target
        except _MirrorError as error:
            problems.append(f"{url}: {error}")
            reporter.warn(problems[-1])
        except OSError as error:
            raise UserError(f"cannot write {part}: {error.strerror or error}") from error
    raise UserError(f"{target.name} could not be fetched ({problems[-1]}); run again to continue, or give --url MIRROR")


def md5_of(path: Path) -> str:
    """Return the MD5 of a file as hex digits: to recognise a file, not to trust it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _require_right(target: Path, md5: str) -> None:
    if md5_of(target) != md5:
        raise UserError(f"{target} exists and is another file (its MD5 is not {md5}); move it away")


def _from_mirror(url: str, part: Path, md5: str, wait: float, reporter: Reporter) -> None:
    """Complete `part` from one mirror; a wrong file is fetched anew once if it was not all from this mirror."""
    part.parent.mkdir(parents=True, exist_ok=True)
    continued = part.exists() and part.stat().st_size > 0
    try:
        _complete(url, part, wait, reporter)
    except _MirrorError:
        if not part.exists() or md5_of(part) != md5:  # it may only be wrong about the length
            raise
    if continued and md5_of(part) != md5:
        reporter.warn(f"{part.name} was continued to a wrong file; fetching it as a whole")
        part.unlink()
        _complete(url, part, wait, reporter)
    if md5_of(part) != md5:
        part.unlink()
        raise _MirrorError("gives another file (wrong MD5)")


def _complete(url: str, part: Path, wait: float, reporter: Reporter) -> None:
    failed, pause = 0, wait
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            _attempt(url, part, before, reporter)
            return
        except _DroppedError as error:
            grown = part.exists() and part.stat().st_size > before
            failed, pause = (1, wait) if grown else (failed + 1, pause * 2)
            if failed >= _ATTEMPTS:
                raise _MirrorError(f"{error}, {_ATTEMPTS} times in a row") from error
            time.sleep(pause)


def _attempt(url: str, part: Path, have: int, reporter: Reporter) -> None:
    """Ask once, for the bytes from `have` on; the file is complete when this returns.

    Raises:
        _DroppedError: it is not complete, and asking again may help.
        _MirrorError: it will not help.
    """
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # nothing follows: the checksum decides
        kind = _DroppedError if error.code in _PASSING else _MirrorError
        raise kind(f"answers {error.code} {error.reason}") from error
    except ValueError as error:
        raise _MirrorError(f"is no address: {error}") from error
    except _BROKEN as error:
        raise _DroppedError(
            f"the connection failed: {getattr(error, 'reason', error) or type(error).__name__}"
        ) from error
    with response:
        _receive(response, part, _Answer.of(response, have), reporter)


@dataclass(frozen=True)
class _Answer:
    """Where the bytes of an answer begin in the file, and how long the file is (None: the server does not say)."""

    start: int
    total: int | None

    @classmethod
    def of(cls, response: Any, wanted: int) -> _Answer:
        length = response.headers.get("Content-Length", "")
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            return cls(0, int(length) if length.isdecimal() else None)  # the whole file again
        found = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        if found is None or int(found[1]) != wanted:
            raise _MirrorError("continues at another place than asked")
        return cls(wanted, int(found[2]) if found[2] != "*" else None)


def _receive(response: Any, part: Path, answer: _Answer, reporter: Reporter) -> None:
    total = None if answer.total is None else -(-answer.total // _MB)
    have = answer.start
    title = f"downloading {part.name.removesuffix('.part')} (MB)"
    with part.open("r+b" if answer.start else "wb") as file, reporter.task(title, total) as task:
        file.truncate(answer.start)
        file.seek(answer.start)
        task.advance(have // _MB)
        while chunk := _read(response):
            file.write(chunk)
            task.advance((have + len(chunk)) // _MB - have // _MB)
            have += len(chunk)
            if have > _LARGEST:
                raise _MirrorError(f"gives more than {_LARGEST >> 30} GB")
    if answer.total is not None and have < answer.total:
        raise _DroppedError(f"the connection ended after {have} of {answer.total} bytes")


def _read(response: Any) -> bytes:
    """Read some bytes; those that came before a connection broke are returned, and the next call finds the end."""
    try:
        return bytes(response.read(_CHUNK))
    except http.client.IncompleteRead as error:
        return bytes(error.partial)
    except _BROKEN as error:
        raise _DroppedError(f"the connection broke: {error or type(error).__name__}") from error
