"""Downloads from a server of this test that behaves badly in every way; nothing reaches the internet."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from spleenseg.download.fetch import fetch
from spleenseg.errors import UserError
from spleenseg.progress import Silent

CONTENT = bytes(range(256)) * 4000  # a megabyte
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


@dataclass
class Site:
    """A file on a server, and how the server behaves.

    Attributes:
        content: what it serves.
        drop_after: connections end after so many bytes of an answer.
        drops: how many connections end so.
        ranges: it continues where it is asked to.
        declared: the length it declares for a whole file instead of the true one.
        status: an error it answers with, as often as `errors` says.
        shift: it continues so many bytes away from where it was asked to.
        asked: the first byte each request asked for.
    """

    content: bytes = CONTENT
    drop_after: int | None = None
    drops: int = 10**6
    ranges: bool = True
    declared: int | None = None
    status: int = 200
    errors: int = 10**6
    shift: int = 0
    asked: list[int] = field(default_factory=list)
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    """Serves the sites of its server by path."""

    def do_GET(self) -> None:
        site: Site = self.server.sites[self.path]
        start = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1])
        site.asked.append(start)
        if site.status != 200 and site.errors > 0:
            site.errors -= 1
            self.send_error(site.status)
            return
        if site.ranges and start >= len(site.content):
            self.send_error(416)
            return
        start = start + site.shift if site.ranges else 0
        self._head(site, start)
        body = site.content[start:]
        if site.drop_after is not None and site.drops > 0:
            site.drops -= 1
            body = body[: site.drop_after]
        self.wfile.write(body)

    def _head(self, site: Site, start: int) -> None:
        total = len(site.content) if site.declared is None else site.declared
        if site.ranges:
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(total - start))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep requests to this machine on it, whatever proxy is set."""
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def serve() -> Iterator[Callable[[Site], Site]]:
    """Return `serve(site) -> site`, whose url then answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.sites = {}
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()

    def add(site: Site) -> Site:
        path = f"/{len(server.sites)}/data.tar"
        server.sites[path] = site
        site.url = f"http://127.0.0.1:{server.server_port}{path}"
        return site

    yield add
    server.shutdown()
    server.server_close()


class Listener(Silent):
    """Collects warnings and the progress of every task."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def test_a_file_is_fetched_and_not_again(serve, tmp_path: Path) -> None:
    site = serve(Site())
    target = tmp_path / "deep" / "data.tar"
    assert fetch([site.url], target, MD5) == target
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["data.tar"]
    fetch([site.url], target, MD5)
    assert site.asked == [0]


def test_dropped_connections_are_continued_where_they_ended(serve, tmp_path: Path) -> None:
    site = serve(Site(drop_after=100_000))
    fetch([site.url], tmp_path / "data.tar", MD5, wait=0)
    assert (tmp_path / "data.tar").read_bytes() == CONTENT
    assert site.asked == list(range(0, len(CONTENT), 100_000))


def test_a_killed_download_is_continued_by_the_next_one(serve, tmp_path: Path) -> None:
    (tmp_path / "data.tar.part").write_bytes(CONTENT[:300_001])
    site = serve(Site())
    fetch([site.url], tmp_path / "data.tar", MD5)
    assert site.asked == [300_001]
    assert (tmp_path / "data.tar").read_bytes() == CONTENT
    assert not (tmp_path / "data.tar.part").exists()


def test_a_part_that_is_already_whole_needs_no_more_bytes(serve, tmp_path: Path) -> None:
    (tmp_path / "data.tar.part").write_bytes(CONTENT)
    fetch([serve(Site()).url], tmp_path / "data.tar", MD5)
    assert (tmp_path / "data.tar").read_bytes() == CONTENT


@pytest.mark.parametrize("drops", [0, 3])
def test_a_server_that_ignores_ranges_begins_anew(serve, tmp_path: Path, drops: int) -> None:
    (tmp_path / "data.tar.part").write_bytes(b"x" * 5000)
    site = serve(Site(ranges=False, drop_after=400_000, drops=drops))
    fetch([site.url], tmp_path / "data.tar", MD5, wait=0)
    assert (tmp_path / "data.tar").read_bytes() == CONTENT


def test_a_stale_part_is_given_up_and_the_file_fetched_as_a_whole(serve, tmp_path: Path) -> None:
    (tmp_path / "data.tar.part").write_bytes(b"of another version" * 100)
    site, listener = serve(Site()), Listener()
    fetch([site.url], tmp_path / "data.tar", MD5, reporter=listener)
    assert (tmp_path / "data.tar").read_bytes() == CONTENT
    assert site.asked == [1800, 0]
    assert "fetching it as a whole" in listener.warnings[0]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_length_that_is_too_long_does_no_harm(serve, tmp_path: Path, ranges: bool) -> None:
    site = serve(Site(declared=len(CONTENT) + 5000, ranges=ranges))
    fetch([site.url], tmp_path / "data.tar", MD5, wait=0)
    assert (tmp_path / "data.tar").read_bytes() == CONTENT


def test_a_length_that_is_too_short_is_found_by_the_checksum(serve, tmp_path: Path) -> None:
    lying, honest = serve(Site(declared=5000)), serve(Site())
    with pytest.raises(UserError, match=r"data\.tar could not be fetched .*wrong MD5.*--url MIRROR"):
        fetch([lying.url], tmp_path / "data.tar", MD5, wait=0)
    assert list(tmp_path.iterdir()) == []
    fetch([lying.url, honest.url], tmp_path / "data.tar", MD5, wait=0)
    assert (tmp_path / "data.tar").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "bad",
    [
        Site(content=b"<html>not found</html>"),
        Site(content=CONTENT[:-1] + b"!"),
        Site(status=404),
        Site(status=503),
        Site(drop_after=0),
        Site(shift=7, content=CONTENT * 2),
    ],
    ids=["a page", "one byte", "404", "503", "no byte", "another place"],
)
def test_a_mirror_that_fails_is_told_and_the_next_one_asked(serve, tmp_path: Path, bad: Site) -> None:
    site, good, listener = serve(bad), serve(Site()), Listener()
    fetch([site.url, good.url], tmp_path / "data.tar", MD5, wait=0, reporter=listener)
    assert (tmp_path / "data.tar").read_bytes() == CONTENT
    assert listener.warnings[0].startswith(f"{site.url}: ")
    with pytest.raises(UserError) as caught:
        fetch([serve(bad).url], tmp_path / "other.tar", MD5, wait=0)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "other.tar").exists()


def test_a_server_that_is_busy_for_a_moment_is_asked_again(serve, tmp_path: Path) -> None:
    site = serve(Site(status=503, errors=3))
    fetch([site.url], tmp_path / "data.tar", MD5, wait=0)
    assert len(site.asked) == 4


def test_what_is_not_there_and_what_is_no_address_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="connection failed"):
        fetch(["http://127.0.0.1:9/data.tar"], tmp_path / "data.tar", MD5, wait=0)
    for url in ("file:///etc/hostname", "/etc/hostname", "ftp://127.0.0.1/x"):
        with pytest.raises(UserError, match="begins with https:// or http://"):
            fetch([url], tmp_path / "data.tar", MD5)
    with pytest.raises(UserError, match="could not be fetched"):
        fetch(["http://[half"], tmp_path / "data.tar", MD5, wait=0)


def test_another_file_of_the_name_is_never_overwritten(serve, tmp_path: Path) -> None:
    (tmp_path / "data.tar").write_bytes(b"mine")
    with pytest.raises(UserError, match="is another file"):
        fetch([serve(Site()).url], tmp_path / "data.tar", MD5)
    assert (tmp_path / "data.tar").read_bytes() == b"mine"


def test_a_folder_that_cannot_be_written_to_is_said_so(serve, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="cannot write"):
        fetch([serve(Site()).url], tmp_path / "file" / "data.tar", MD5, wait=0)
