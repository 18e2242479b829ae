"""Downloads from a real HTTP server on this machine that cuts, corrupts, stalls and lies as the script says."""

import contextlib
import gzip
import hashlib
import json
import re
import resource
import socket
import threading
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from aarlab.testbeds import Source, TestbedError
from aarlab.testbeds.fetch import Limits, download, fetch_texts
from aarlab.testbeds.sources import read_answers
from aarlab.testbeds.texts import TextMissing, digests, read_texts, texts_of, write_texts
from aarlab.testbeds.upstream import Upstream, UpstreamFile, json_lines

QUICK = Limits(file_bytes=4 << 20, seconds=60, silence=20, delays=(0.01, 0.02, 0.02))
ROWS = [(f"Question {n}?", f"Answer {n}: " + hashlib.sha256(b"%d" % n).hexdigest() * 9, "No.") for n in range(700)]
TEXTS = np.array(ROWS, np.dtypes.StringDType())
LINES = "".join(json.dumps({"q": q, "a": a}) + "\n" for q, *answers in ROWS for a in answers).encode()
SHA256 = hashlib.sha256(LINES).hexdigest()


def read(paths):
    return ((row["q"], row["a"]) for path in paths for row in json_lines(path))


class Handler(BaseHTTPRequestHandler):
    server: "Site"

    def do_GET(self):
        self.server.requests.append((self.path, self.headers.get("Range")))
        self.server.agreed = self.headers.get("Accept-Encoding") == "identity"
        step = self.server.script.pop(0) if self.server.script else whole
        with contextlib.suppress(OSError):  # the client went away
            step(self, self.server.files.get(self.path))
        self.close_connection = True

    def log_message(self, *args):
        pass

    def head(self, status, length=None, **headers):
        self.send_response(status)
        if length is not None:
            headers["Content-Length"] = str(length)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def begin(self, content):
        """Headers as a good server sends them; what is to follow."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(asked[1]) if asked else 0
        if asked and start >= len(content):
            self.head(416, 0, Content_Range=f"bytes */{len(content)}")
            return b""
        if asked:
            where = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.head(206, len(content) - start, Content_Range=where)
        else:
            self.head(200, len(content), Content_Type="text/plain")
        return content[start:]


class Site(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {"/data.jsonl": LINES}
        self.script: list = []
        self.requests: list[tuple[str, str | None]] = []
        self.agreed = False
        self.release = threading.Event()

    def url(self, path="/data.jsonl"):
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


def whole(handler, content):
    if content is None:
        handler.head(404, 0)
    else:
        handler.wfile.write(handler.begin(content))


def without_ranges(handler, content):
    handler.head(200, len(content))
    handler.wfile.write(content)


def cut(after):
    def step(handler, content):
        handler.wfile.write(handler.begin(content)[:after])

    return step


def cut_without_length(handler, content):
    handler.head(200)
    handler.wfile.write(content[: len(content) // 2])


def reset(handler, _):
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.connection.close()


def status(code, **headers):
    return lambda handler, _: handler.head(code, 0, **headers)


def corrupt(handler, content):
    rest = bytearray(handler.begin(content))
    rest[len(rest) // 2] ^= 1
    handler.wfile.write(rest)


def page(handler, _):
    handler.head(200, 30, Content_Type="text/html; charset=utf-8")
    handler.wfile.write(b"<!DOCTYPE html><p>Log in</p>".ljust(30))


def disguised_page(handler, _):
    handler.head(200, 30)
    handler.wfile.write(b" \n<!DOCTYPE html><p>Log in</p>".ljust(30)[:30])


def pointer(handler, _):
    handler.head(200, 60)
    handler.wfile.write(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n".ljust(60))


def other_part(handler, content):
    handler.head(206, 10, Content_Range=f"bytes 7-16/{len(content)}")
    handler.wfile.write(content[7:17])


def beyond_the_end(handler, content):
    handler.head(416, 0, Content_Range=f"bytes */{len(content) // 2}")


def compressed(handler, content):
    packed = gzip.compress(content)
    handler.head(200, len(packed), Content_Encoding="gzip")
    handler.wfile.write(packed)


def huge(handler, _):
    handler.head(200, 10 << 30)


def endless(handler, _):
    handler.head(200)
    while True:
        handler.wfile.write(b"x" * 65536)


def stall(handler, content):
    handler.wfile.write(handler.begin(content)[:1000])
    handler.server.release.wait(10)


def silent(handler, _):
    handler.server.release.wait(10)


def drip(handler, content):
    rest = handler.begin(content)
    while rest and not handler.server.release.wait(0.05):
        handler.wfile.write(rest[:1])
        rest = rest[1:]


@pytest.fixture
def site():
    server = Site()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Bench:
    """A pack whose text is `TEXTS`, one site to get it from, one folder to put it."""

    pack: object
    site: Site
    folder: object
    told: list = field(default_factory=list)

    def upstream(self, *sha256, paths=("/data.jsonl",)):
        files = tuple(UpstreamFile(self.site.url(path), sha256) for path in paths)
        return {"made up": Upstream(files, read, "none", verified=False)}

    def fetch(self, *sha256, paths=("/data.jsonl",), limits=QUICK, progress=None, **options):
        tell = progress or (lambda *step: self.told.append(step))
        upstream = options.pop("upstream", self.upstream(*sha256, paths=paths))
        return fetch_texts(self.pack, progress=tell, folder=self.folder, upstream=upstream, limits=limits, **options)

    def files(self):
        return sorted(path.name for path in self.folder.iterdir()) if self.folder.exists() else []

    def read(self):
        return texts_of(self.pack, None)


def with_sources(pack, *sources):
    return replace(pack, manifest=pack.manifest.model_copy(update={"sources": sources}))


def source(name="made up", **more):
    return Source(
        name=name, part="id", data="drawn up for a test", licence="none", **{"file": "neutral.jsonl.gz", **more}
    )


@pytest.fixture
def bench(small_pack, site, tmp_path, monkeypatch):
    monkeypatch.setenv("AARLAB_DATA", str(tmp_path))
    pack = replace(small_pack, digests=digests(TEXTS), source=np.zeros(len(TEXTS), np.int8))
    return Bench(with_sources(pack, source()), site, tmp_path / "texts")


def test_a_fetched_text_is_found_again_and_fetched_no_more(bench):
    assert bench.read() is None
    assert bench.fetch(SHA256) == bench.folder / "synthetic.npz"
    assert bench.read().tolist() == TEXTS.tolist()
    assert bench.files() == ["synthetic.npz"]
    assert bench.told[-1] == ("data.jsonl", len(LINES), len(LINES))
    assert bench.site.agreed
    bench.fetch(SHA256)
    assert len(bench.site.requests) == 1


def test_text_of_an_older_pack_is_replaced(bench):
    write_texts(TEXTS[::-1], bench.folder / "synthetic.npz")
    bench.fetch()
    assert bench.read().tolist() == TEXTS.tolist()


@pytest.mark.parametrize(
    ("script", "ranges"),
    [
        ([cut(200_000)], [None, "bytes=200000-"]),
        (
            [cut(200_000), cut(50_000), cut(50_000), cut(50_000), cut(50_000)],
            [None] + [f"bytes={n}000-" for n in (200, 250, 300, 350, 400)],
        ),
        ([cut(200_000), without_ranges], [None, "bytes=200000-"]),
        ([cut(200_000), other_part], [None, "bytes=200000-", None]),
        ([cut(200_000), beyond_the_end], [None, "bytes=200000-", None]),
        ([cut(200_000), corrupt], [None, "bytes=200000-", None]),
        ([reset, status(503), status(429, Retry_After="0")], [None] * 4),
        ([cut(0), cut(0), cut(1)], [None, None, None, "bytes=1-"]),
        ([status(302, Location="/data.jsonl")], [None, None]),
    ],
    ids=["cut", "cut often", "no ranges", "wrong part", "beyond", "corrupt", "busy", "nothing", "redirect"],
)
def test_what_goes_wrong_once_is_made_good(bench, script, ranges):
    bench.site.script = list(script)
    if corrupt in script:  # only what was there before this run may be to blame
        with pytest.raises(TestbedError, match="SHA-256"):
            bench.fetch(SHA256)
        bench.fetch(SHA256)
    else:
        bench.fetch(SHA256)
    assert bench.read().tolist() == TEXTS.tolist()
    assert [asked for _, asked in bench.site.requests] == ranges
    assert bench.files() == ["synthetic.npz"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ([status(404)], r"404.*--from"),
        ([status(403)], r"403.*--from"),
        ([status(503)] * 4, r"answered 503.*fetch again"),
        ([reset] * 4, r"could not be downloaded.*Check the connection"),
        ([corrupt], "SHA-256 differs"),
        ([cut_without_length], "SHA-256 differs"),
        ([page], "web page"),
        ([disguised_page], "web page"),
        ([pointer], "large file storage"),
        ([compressed], "compressed"),
        ([huge], "larger than"),
        ([endless], "larger than"),
        ([status(302, Location="/data.jsonl")] * 9, "redirects"),
        ([status(302, Location="ftp://127.0.0.1/x")], r"cannot be downloaded.*ftp"),
        ([status(503, Retry_After="1000")], "did not arrive within"),
    ],
)
def test_what_cannot_be_made_good_says_so_and_leaves_no_text(bench, script, message):
    bench.site.script = script
    with pytest.raises(TestbedError, match=message) as caught:
        bench.fetch(SHA256)
    assert caught.value.advice
    assert bench.read() is None
    assert "synthetic.npz" not in bench.files()


@pytest.mark.parametrize(
    ("script", "limits", "message"),
    [
        ([silent] * 9, replace(QUICK, silence=0.1, delays=(0.0,)), "could not be downloaded: .*timed out"),
        ([stall] * 40, replace(QUICK, silence=0.1, delays=(0.0,), seconds=0.5), "did not arrive within"),
        ([drip], replace(QUICK, seconds=0.3), "did not arrive within"),
    ],
    ids=["silent", "stall", "drip"],
)
def test_no_server_holds_a_fetch_up_for_ever(bench, script, limits, message):
    bench.site.script = script
    with pytest.raises(TestbedError, match=message):
        bench.fetch(SHA256, limits=limits)
    bench.site.script = []
    bench.fetch(SHA256)
    assert bench.read().tolist() == TEXTS.tolist()


@pytest.mark.parametrize("step", [corrupt, cut_without_length])
def test_without_a_published_checksum_the_rows_tell(bench, step):
    bench.site.script = [step]
    with pytest.raises(TestbedError, match=r"cannot be read as the data set|have no text.*By source: \d+ of made up"):
        bench.fetch()
    assert bench.files() == []
    bench.fetch()
    assert bench.read().tolist() == TEXTS.tolist()


def test_nobody_listens(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        file = UpstreamFile(f"http://127.0.0.1:{closed.getsockname()[1]}/data.jsonl")
        with pytest.raises(TestbedError, match="Connection refused"):
            download(file, tmp_path / "x.partial", limits=QUICK)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://", "data.jsonl"])
def test_what_is_no_url_is_refused(tmp_path, url):
    with pytest.raises(TestbedError, match="cannot be downloaded"):
        download(UpstreamFile(url), tmp_path / "x.partial", limits=QUICK)


def test_an_interrupted_fetch_goes_on_where_it_stopped(bench):
    def interrupt(name, done, _):
        if name == "data.jsonl" and done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.fetch(SHA256, progress=interrupt)
    assert bench.read() is None
    (partial,) = bench.files()
    size = (bench.folder / partial).stat().st_size
    assert 0 < size < len(LINES)
    bench.fetch(SHA256)
    assert bench.site.requests[-1] == ("/data.jsonl", f"bytes={size}-")
    assert bench.read().tolist() == TEXTS.tolist()
    assert bench.files() == ["synthetic.npz"]


def test_a_file_that_is_there_whole_is_not_fetched_again_when_another_fails(bench):
    bench.site.files |= {"/a": LINES[: LINES.index(b"\n", 300_000) + 1], "/b": LINES[LINES.index(b"\n", 300_000) + 1 :]}
    bench.site.script = [whole, status(404)]
    with pytest.raises(TestbedError, match="404"):
        bench.fetch(paths=("/a", "/b"))
    bench.fetch(paths=("/a", "/b"))
    assert [path for path, _ in bench.site.requests] == ["/a", "/b", "/a", "/b"]
    assert bench.site.requests[2][1] == f"bytes={len(bench.site.files['/a'])}-"  # answered 416: nothing to come
    assert bench.read().tolist() == TEXTS.tolist()


def test_a_foreign_beginning_is_thrown_away(bench):
    bench.site.script = [cut(200_000)] * 4
    with pytest.raises(KeyboardInterrupt):
        bench.fetch(SHA256, progress=_interrupt)
    (partial,) = bench.files()
    (bench.folder / partial).write_bytes(b"something else")
    bench.site.script = []
    bench.fetch(SHA256)
    assert [asked for _, asked in bench.site.requests[-2:]] == ["bytes=14-", None]
    assert bench.read().tolist() == TEXTS.tolist()


def _interrupt(*_):
    raise KeyboardInterrupt


def test_a_full_disk_says_so_and_what_came_is_kept(bench):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(TestbedError, match=r"Cannot write to .*Make room"):
            bench.fetch(SHA256)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert bench.read() is None
    bench.fetch(SHA256)
    assert bench.site.requests[-1][1].startswith("bytes=")
    assert bench.read().tolist() == TEXTS.tolist()


def test_a_folder_that_cannot_be_made_says_so(bench):
    bench.folder.parent.joinpath("texts").write_text("a file")
    with pytest.raises(TestbedError, match="Cannot write to"):
        bench.fetch(SHA256)


def test_two_at_once_do_not_mix(bench):
    seen = []

    def meanwhile(*_):
        if not seen:
            seen.append(True)
            with pytest.raises(TestbedError, match="Another process is fetching"):
                bench.fetch(SHA256, progress=lambda *_: None)

    bench.fetch(SHA256, progress=meanwhile)
    assert seen
    assert bench.read().tolist() == TEXTS.tolist()


def test_rows_that_upstream_lacks_are_counted_by_source(bench):
    bench.site.files["/data.jsonl"] = LINES[: LINES.index(b"\n", 300_000) + 1]
    sources = np.zeros(len(TEXTS), np.int8)
    sources[-10:] = 1
    bench.pack = with_sources(replace(bench.pack, source=sources), source(), source("other", url=bench.site.url()))
    upstream = bench.upstream() | {"other": bench.upstream()["made up"]}
    with pytest.raises(TextMissing, match=r"By source: \d+ of made up, 10 of other\..*--from") as caught:
        bench.fetch(upstream=upstream)
    assert caught.value.rows[-1] == len(TEXTS) - 1
    assert bench.files() == []
    assert len(bench.site.requests) == 1  # two sources, one file


def test_a_source_without_publisher_names_the_way(bench):
    bench.pack = with_sources(bench.pack, source(), source("code_mbpp", file="code_mbpp.jsonl.gz"))
    with pytest.raises(TestbedError, match=r"mutants.*If you have code_mbpp.jsonl.gz.*--from"):
        bench.fetch()
    assert bench.site.requests == []


def test_generated_text_is_made_on_the_spot(bench):
    answers = read_answers("arithmetic_story")[:2]
    texts = np.array([[answers[0].question, answers[0].text, answers[1].text]], np.dtypes.StringDType())
    bench.pack = with_sources(replace(bench.pack, digests=digests(texts)), source("arithmetic_story", file=""))
    bench.fetch()
    assert read_texts(bench.folder / "synthetic.npz", digests(texts)).tolist() == texts.tolist()
    assert bench.site.requests == []


def test_text_that_an_older_version_cannot_make_is_told_of(bench):
    bench.pack = with_sources(bench.pack, source("riddles", file=""))
    with pytest.raises(TestbedError, match="does not make the text of riddles"):
        bench.fetch()


def neutral(path, rows=ROWS):
    """The same text as a neutral file of single answers."""
    lines = [{"group": q, "source": "me", "question": q, "answer": a, "label": 0} for q, *rest in rows for a in rest]
    path.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_file_a_pack_was_made_from_is_read_from_a_folder(bench, tmp_path):
    sha256 = neutral(tmp_path / "neutral.jsonl.gz")
    bench.pack = with_sources(bench.pack, source("math", sha256=sha256))
    bench.fetch(origin=tmp_path)
    assert bench.read().tolist() == TEXTS.tolist()
    assert bench.site.requests == []


@pytest.mark.parametrize(
    ("content", "sha256", "message"),
    [
        (LINES, SHA256[::-1], "not the file this testbed was made from"),
        (b"{", "", "not a row of math"),
        (gzip.compress(LINES), "", "not a row of math"),
        (gzip.compress(b""), "", "700 of 700 rows of synthetic have no text"),
    ],
    ids=["other", "not gzip", "other form", "empty"],
)
def test_another_file_in_its_place_is_refused(bench, tmp_path, content, sha256, message):
    (tmp_path / "neutral.jsonl.gz").write_bytes(content)
    bench.pack = with_sources(bench.pack, source("math", sha256=sha256))
    with pytest.raises(TestbedError, match=message):
        bench.fetch(origin=tmp_path)
    assert bench.files() == []


def test_a_neutral_file_is_fetched_from_the_url_that_a_manifest_names(bench, tmp_path):
    sha256 = neutral(tmp_path / "neutral.jsonl.gz")
    bench.site.files["/neutral.jsonl.gz"] = (tmp_path / "neutral.jsonl.gz").read_bytes()
    bench.pack = with_sources(bench.pack, source("math", sha256=sha256, url=bench.site.url("/neutral.jsonl.gz")))
    bench.fetch()
    assert bench.read().tolist() == TEXTS.tolist()


def test_files_got_by_hand_are_read_from_a_folder(bench, tmp_path):
    (tmp_path / "hand").mkdir()
    with pytest.raises(TestbedError, match=r"lacks neutral.jsonl.gz or data.jsonl.*made up"):
        bench.fetch(SHA256, origin=tmp_path / "hand")
    (tmp_path / "hand" / "data.jsonl").write_bytes(LINES[:-1])
    with pytest.raises(TestbedError, match="SHA-256 differs"):
        bench.fetch(SHA256, origin=tmp_path / "hand")
    (tmp_path / "hand" / "data.jsonl").write_bytes(LINES)
    bench.fetch(SHA256, origin=tmp_path / "hand")
    assert bench.read().tolist() == TEXTS.tolist()
    assert bench.site.requests == []


def test_a_folder_that_is_none(bench, tmp_path):
    with pytest.raises(TestbedError, match="is no folder"):
        bench.fetch(origin=tmp_path / "nowhere")
