"""Bring the text of a testbed: from its publishers by HTTP, or from a folder.

What arrives is kept in a `.partial` file until it is whole, so an interrupted download goes on where it stopped. A
file is taken for whole only if its length and, where one was published, its SHA-256 agree; a testbed's text is written
only when every row was found by its digest. What fails on the way leaves no text behind and says what to do.
"""

import fcntl
import hashlib
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedRandom
from pathlib import Path

import httpx

from aarlab.testbeds.pack import Pack, Source, TestbedError
from aarlab.testbeds.sources import SEEDED, read_answers
from aarlab.testbeds.texts import (
    TextMissing,
    assemble,
    generated,
    read_texts,
    texts_file,
    unwritable,
    write_texts,
)
from aarlab.testbeds.upstream import LOCAL_ONLY, UPSTREAM, Texts, Upstream, UpstreamFile

log = logging.getLogger(__name__)

#: Told of every step: name of the file, bytes so far, bytes in all (None if unknown).
Progress = Callable[[str, int, int | None], None]

TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)
NEARBY = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Limits:
    """How far a download may go.

    Attributes:
        file_bytes: largest file.
        seconds: longest time for one file.
        silence: longest time without a byte, in seconds.
        delays: seconds before each further try; a try that brings something starts the row anew.
    """

    file_bytes: int = 64 << 20
    seconds: float = 900.0
    silence: float = 30.0
    delays: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)


LIMITS = Limits()


class _Broken(Exception):
    """A try failed in a way that the next may not; `after` is how long the server asks to wait, in seconds."""

    def __init__(self, what: str, after: float = 0.0) -> None:
        super().__init__(what)
        self.after = after


def fetch_texts(
    pack: Pack,
    origin: Path | None = None,
    progress: Progress | None = None,
    folder: Path | None = None,
    *,
    upstream: Mapping[str, Upstream] = UPSTREAM,
    limits: Limits = LIMITS,
) -> Path:
    """Bring the text of a testbed, check every row, and write it where `texts_of` finds it.

    Text that is already there and belongs to this pack is left as it is.

    Args:
        pack: the testbed's.
        origin: folder to read from instead of downloading: the file that the manifest names, or those of the publisher.
        progress: told of every step.
        folder: of texts; default `texts_folder()`.
        upstream: data sets that can be downloaded, by name of the source.
        limits: how far a download may go.

    Returns:
        The file that was written.

    Raises:
        TestbedError: some text cannot be had, is damaged, or is not that of this pack, and why.
    """
    to = texts_file(pack, folder)
    if _present(to, pack):
        return to
    plans = {plan.key: plan for plan in (_plan(source, origin, upstream) for source in pack.manifest.sources)}
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(to.parent, error) from error
    with _Downloads(to.parent, progress or _silent, limits) as downloads:
        answers = (answer for plan in plans.values() for answer in plan.read(downloads))
        try:
            texts = assemble(pack.digests, answers, pack.manifest.name)
        except TextMissing as error:
            lacking = Counter(pack.manifest.sources[index].name for index in pack.source[error.rows].tolist())
            counts = ", ".join(f"{count} of {name}" for name, count in lacking.items())
            raise TextMissing(f"{error.message} By source: {counts}.", error.advice, error.rows) from None
        write_texts(texts, to)
    return to


def _silent(name: str, done: int, total: int | None) -> None:
    """Tell nobody."""


def _present(path: Path, pack: Pack) -> bool:
    if not path.is_file():
        return False
    try:
        read_texts(path, pack.digests)
    except TestbedError as error:
        log.warning("%s", error)
        return False
    return True


@dataclass(frozen=True)
class _Plan:
    """How the text of one source is had; two with the same key are the same."""

    key: object
    read: Callable[["_Downloads"], Texts]


def _plan(source: Source, origin: Path | None, upstream: Mapping[str, Upstream]) -> _Plan:
    if source.name in SEEDED:
        return _Plan(source.name, lambda _: generated(source.name))
    if not source.file:
        raise TestbedError(f"This version of aarlab does not make the text of {source.name}.", "Update aarlab.")
    published = upstream.get(source.name)
    if origin is not None:
        return _plan_from(source, origin, published)
    if published is not None:
        return _Plan(published, lambda downloads: published.read([downloads.bring(file) for file in published.files]))
    if source.url:
        neutral = UpstreamFile(source.url, (source.sha256,) if source.sha256 else ())
        return _Plan(neutral, lambda downloads: _neutral(source, downloads.bring(neutral)))
    reason = LOCAL_ONLY.get(source.name, "No publisher of it is known.")
    raise TestbedError(
        f"The text of {source.name} cannot be downloaded. {reason}",
        f"If you have {source.file}, name its folder: --from FOLDER.",
    )


def _plan_from(source: Source, origin: Path, published: Upstream | None) -> _Plan:
    if not origin.is_dir():
        raise TestbedError(f"{origin} is no folder.", "Name the folder that holds the data.")
    path = origin / Path(source.file).name
    if path.is_file():
        return _Plan(path, lambda _: _checked(source, path))
    files = [] if published is None else [origin / file.name for file in published.files]
    if published is not None and all(file.is_file() for file in files):
        return _Plan(published, lambda _: _checked_upstream(published, files))
    names = " or ".join([path.name, " with ".join(file.name for file in files)] if files else [path.name])
    raise TestbedError(
        f"{origin} lacks {names}.", f"Copy it there: it holds the text of {source.name} ({source.data})."
    )


def _checked(source: Source, path: Path) -> Texts:
    if source.sha256 and _sha256(path) != source.sha256:
        raise TestbedError(
            f"{path} is not the file this testbed was made from: its SHA-256 differs.",
            "Name a folder with the very file, or fetch without --from.",
        )
    return _neutral(source, path)


def _checked_upstream(published: Upstream, paths: list[Path]) -> Texts:
    for file, path in zip(published.files, paths, strict=True):
        if file.sha256 and _sha256(path) not in file.sha256:
            raise TestbedError(f"{path} is not the file at {file.url}: its SHA-256 differs.", "Get it from there.")
    return published.read(paths)


def _neutral(source: Source, path: Path) -> Texts:
    """Text of a neutral file, as the recipes read it."""
    return ((answer.question, answer.text) for answer in read_answers(source.name, path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass
class _Downloads:
    """Files on their way: removed once they are made into text or proved useless, else kept to go on with."""

    folder: Path
    progress: Progress
    limits: Limits
    brought: list[Path] = field(default_factory=list)
    underway: bool = False

    def __enter__(self) -> "_Downloads":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or (issubclass(kind, TestbedError) and not self.underway):
            for path in self.brought:
                path.unlink(missing_ok=True)

    def bring(self, file: UpstreamFile) -> Path:
        """Download a file, whole and checked."""
        path = self.folder / f"{hashlib.sha256(file.url.encode()).hexdigest()[:16]}.partial"
        self.underway = True
        download(file, path, self.progress, self.limits)
        self.underway = False
        self.brought.append(path)
        return path


def download(file: UpstreamFile, to: Path, progress: Progress = _silent, limits: Limits = LIMITS) -> None:
    """Download a file, or the rest of it if some is there already.

    Args:
        file: its URL and SHA-256.
        to: where it is put; on an error what has arrived is kept, unless it is no good.
        progress: told of every step.
        limits: how far it may go.

    Raises:
        TestbedError: it cannot be had whole, or is not the file it should be.
    """
    try:
        with _held(to) as stream:
            resumed = stream.seek(0, 2) > 0
            _fill(file, stream, progress, limits)
            fault = _fault(file, stream)
            if fault and resumed:  # what was there may be to blame
                stream.truncate(0)
                _fill(file, stream, progress, limits)
                fault = _fault(file, stream)
            if fault:
                to.unlink(missing_ok=True)
                raise TestbedError(f"{file.url} {fault}.", "Open it in a browser, and try again or use --from FOLDER.")
    except OSError as error:
        raise unwritable(to.parent, error) from error


@contextmanager
def _held(path: Path) -> Iterator[BufferedRandom]:
    """Open a file for reading and writing that no other process writes to."""
    with path.open("ab") as holder:
        try:
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TestbedError(f"Another process is fetching {path}.", "Wait until it is done.") from None
        with path.open("r+b") as stream:
            yield stream


def _fault(file: UpstreamFile, stream: BufferedRandom) -> str | None:
    """What is wrong with a file that arrived whole."""
    stream.seek(0)
    head = stream.read(512).lstrip().lower()
    if not head:
        return "is empty"
    if head.startswith((b"<!doctype html", b"<html")):
        return "gave a web page instead of data"
    if head.startswith(b"version https://git-lfs"):
        return "gave a pointer to Git's large file storage instead of data"
    stream.seek(0)
    if file.sha256 and hashlib.file_digest(stream, "sha256").hexdigest() not in file.sha256:
        return "gave another file than expected: its SHA-256 differs"
    return None


def _fill(file: UpstreamFile, stream: BufferedRandom, progress: Progress, limits: Limits) -> None:
    """Receive until the file is whole; try again while there is hope."""
    end = time.monotonic() + limits.seconds
    tries = 0
    timeout = httpx.Timeout(limits.silence, connect=min(10.0, limits.silence))
    try:
        nearby = httpx.URL(file.url).host in NEARBY  # no proxy reaches this machine's loopback
        with httpx.Client(timeout=timeout, follow_redirects=True, max_redirects=5, trust_env=not nearby) as client:
            while True:
                before = stream.seek(0, 2)
                try:
                    _receive(client, file, stream, progress, limits, end)
                except (httpx.TransportError, _Broken) as error:
                    if isinstance(error, httpx.UnsupportedProtocol):
                        raise
                    tries = 0 if stream.seek(0, 2) > before else tries
                    if tries >= len(limits.delays):
                        raise TestbedError(
                            f"{file.url} could not be downloaded: {str(error) or type(error).__name__}.",
                            "Check the connection and fetch again: what has arrived is kept.",
                        ) from error
                    wait = max(limits.delays[tries], error.after if isinstance(error, _Broken) else 0.0)
                    tries += 1
                    log.info("%s: %s; again in %.0f s", file.url, error, wait)
                    if time.monotonic() + wait > end:
                        raise _too_slow(file, limits) from error
                    time.sleep(wait)
                else:
                    return
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.DecodingError) as error:
        raise TestbedError(
            f"{file.url} cannot be downloaded: {error}", "Get it by hand and use --from FOLDER."
        ) from error


def _too_slow(file: UpstreamFile, limits: Limits) -> TestbedError:
    return TestbedError(
        f"{file.url} did not arrive within {limits.seconds:.0f} seconds.", "Fetch again: what has arrived is kept."
    )


def _receive(
    client: httpx.Client, file: UpstreamFile, stream: BufferedRandom, progress: Progress, limits: Limits, end: float
) -> None:
    """Send one request and append what it brings."""
    have = stream.seek(0, 2)
    headers = {"Accept-Encoding": "identity"}  # a part of a compressed answer is no part of the file
    if have:
        headers["Range"] = f"bytes={have}-"
    with client.stream("GET", file.url, headers=headers) as response:
        start, total = _span(response, file, have)
        if start is None:
            if total == have:
                return
            stream.truncate(0)
            raise _Broken("what was there is no part of it")
        if total is not None and total > limits.file_bytes:
            raise _too_large(file, limits)
        stream.truncate(start)
        stream.seek(start)
        done = start
        for chunk in response.iter_raw():
            done += len(chunk)
            if done > limits.file_bytes:
                stream.truncate(0)
                raise _too_large(file, limits)
            stream.write(chunk)
            progress(file.name, done, total)
            if time.monotonic() > end:
                raise _too_slow(file, limits)
        stream.flush()
        if total is not None and done != total:
            raise _Broken(f"it ended after {done} of {total} bytes")


def _too_large(file: UpstreamFile, limits: Limits) -> TestbedError:
    return TestbedError(
        f"{file.url} is larger than {limits.file_bytes:,} bytes, so it is not the file it should be.",
        "Get it by hand and use --from FOLDER.",
    )


def _span(response: httpx.Response, file: UpstreamFile, have: int) -> tuple[int | None, int | None]:
    """Where in the file an answer starts, and the file's length; None if unknown, or if there is nothing to come."""
    status, headers = response.status_code, response.headers
    ranged = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", headers.get("Content-Range", ""))
    length = int(ranged[2]) if ranged and ranged[2] != "*" else None
    if status == 416 and have:
        return None, length
    if status in TRY_AGAIN:
        after = headers.get("Retry-After", "")
        raise _Broken(f"the server answered {status}", float(after) if after.isdecimal() else 0.0)
    if status not in (200, 206):
        raise TestbedError(
            f"{file.url} cannot be downloaded: the server answered {status} {response.reason_phrase}.",
            "Get the data by hand and use --from FOLDER.",
        )
    if response.url.scheme != "https" and file.url.startswith("https:"):
        raise TestbedError(f"{file.url} leads to {response.url}, which anyone could forge.", "Use --from FOLDER.")
    if headers.get("Content-Type", "").startswith("text/html"):
        raise TestbedError(
            f"{file.url} gave a web page instead of data: a login, or a proxy's notice.",
            "Open it in a browser, and get the data by hand: --from FOLDER.",
        )
    if headers.get("Content-Encoding", "identity") != "identity":
        raise TestbedError(f"{file.url} was compressed on its way, unasked.", "Get it by hand and use --from FOLDER.")
    if status == 200:
        length = headers.get("Content-Length")
        return 0, None if length is None else int(length)
    if not ranged or ranged[1] is None or int(ranged[1]) != have:
        return None, None
    return have, length
