"""What Landlock holds: files, processes and the whole tree; and what it does not, said aloud."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aarlab.evaluation import Evaluator
from aarlab.sandbox import LandlockSandbox, Limits, SandboxUnavailable, _confine, python_program, self_test
from aarlab.sandbox._landlock import _user
from aarlab.sandbox._links import link_tree, visible
from aarlab.testbeds import Testbed, packs_folder

needs_landlock = pytest.mark.skipif(
    _confine.version() < _confine.FIRST, reason=f"this kernel has Landlock {_confine.version()}"
)

# Reads where labels lie, and tries to pass them on by predicting; an error says what was readable.
THIEF = """
import os
PLACES = {places!r}
def fit(problem, seed):
    found = []
    for place in PLACES:
        try:
            open(place, 'rb').read(1)
            found.append(place)
        except OSError:
            pass
        try:
            found += os.listdir(os.path.dirname(place))
        except OSError:
            pass
    assert not found, found
    return lambda examples: [0.5] * len(examples)
"""


def ask(code: str, count: int, **options: bool) -> bytes:
    with LandlockSandbox(**options).open(python_program(("-S", "-c", code)), Limits(processes=8)) as session:
        return session.receive(count)


@needs_landlock
def test_labels_cannot_be_read(small_testbed: Testbed, tmp_path: Path):
    """The method says so itself, run as the real thing: also of a file beside it and of the parent's memory."""
    planted = tmp_path / "labels"
    planted.write_text("1")
    places = [str(packs_folder() / "chat" / "operator.npz"), str(planted), f"/proc/{os.getpid()}/mem", "/etc/passwd"]
    assert all(os.access(place, os.R_OK) for place in places)  # by us
    with Evaluator(small_testbed, LandlockSandbox()) as evaluator:
        result = evaluator.evaluate(THIEF.format(places=places), "public", [1])
    assert result.accuracy == (0.5,)
    assert not result.isolated
    assert result.sandbox == "landlock"


@needs_landlock
def test_an_honest_method_runs(small_testbed: Testbed):
    with Evaluator(small_testbed, LandlockSandbox()) as evaluator:
        result = evaluator.evaluate(evaluator.vanilla_code(), "public", [1])
    assert result.mean_accuracy > result.floor - 0.1


@needs_landlock
@pytest.mark.slow
@pytest.mark.skipif(_confine.version() < 6, reason="signals and abstract sockets are held since version 6")
def test_only_what_the_docstring_says_does_not_hold():
    failed = {check.name: check.detail for check in self_test(LandlockSandbox()) if not check.holds}
    known = {
        "no network",  # datagrams
        "no sockets of this machine",  # by file
        "temporary files are capped",
        "many small files are capped",
        "processes are capped",  # as root without a control group, where Python lies in a folder of root's
        "memory is capped",  # the same, by each process
    }
    assert failed.keys() <= known, failed
    assert "abstract" not in failed.get("no sockets of this machine", "")
    assert "connected" not in failed.get("no network", "")


@needs_landlock
def test_nothing_is_inherited_of_root():
    code = "import os, sys; sys.stdout.write(open('/dev/null').read() + 'ok')\n"
    status = "import ctypes, sys; n = ctypes.CDLL(None).prctl(39, 0, 0, 0, 0); sys.stdout.write(str(n))"  # no_new_privs
    assert ask(code, 2) == b"ok"
    assert ask(status, 1) == b"1"
    assert (
        ask("import os, sys\ntry: os.chroot('/')\nexcept OSError as e: sys.stdout.write(f'{e.errno:3}')", 3) == b"  1"
    )


DETACHED = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(30)
    os._exit(0)
time.sleep(0.2)
sys.stdout.write('ok')
sys.stdout.flush()
time.sleep(30)
"""


def marked(mark: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_text(errors="replace").split("\0")
        except OSError:
            continue
        if mark in words:
            found.append(path.parent.name)
    return found


def gone(mark: str) -> bool:
    until = time.monotonic() + 20
    while marked(mark) and time.monotonic() < until:
        time.sleep(0.05)
    return not marked(mark)


@needs_landlock
@pytest.mark.parametrize("use_cgroups", [True, False])
def test_the_whole_tree_dies_with_the_session(use_cgroups: bool):
    mark = f"tree-{os.getpid()}-{use_cgroups}"
    sandbox = LandlockSandbox(use_cgroups=use_cgroups)
    with sandbox.open(python_program(("-S", "-c", DETACHED, mark)), Limits()) as session:
        assert session.receive(2) == b"ok"
        assert len(marked(mark)) >= 2
    assert gone(mark)


@needs_landlock
def test_the_whole_tree_dies_with_us():
    """Even if we are killed outright."""
    mark = f"orphan-{os.getpid()}"
    ours = f"""
import sys, time
from aarlab.sandbox import LandlockSandbox, Limits, python_program
session = LandlockSandbox().open(python_program(("-S", "-c", {DETACHED!r}, {mark!r})), Limits())
session.receive(2)
print("ready", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", ours], stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        assert len(marked(mark)) >= 2
        running.send_signal(signal.SIGKILL)
    assert gone(mark)


@needs_landlock
def test_its_folder_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    write = "import os, sys; os.makedirs('a/b'); open('a/b/c', 'w').write('x'); sys.stdout.write('ok')"
    assert ask(write, 2) == b"ok"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("found", [-1, 0, 2])
def test_too_old_a_kernel_is_refused(found: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_confine, "version", lambda: found)
    with pytest.raises(SandboxUnavailable, match=r"Linux 6\.2"):
        LandlockSandbox()


def test_masked_folders_are_empty(tmp_path: Path):
    """Where nothing can be mounted over them."""
    (tmp_path / "library" / "deep" / "hidden").mkdir(parents=True)
    (tmp_path / "library" / "deep" / "hidden" / "labels").write_text("1")
    (tmp_path / "library" / "deep" / "shown.py").write_text("")
    (tmp_path / "root").mkdir()
    program = python_program(("x",), mounts={"/library": tmp_path / "library"})
    masked = type(program)(program.argv, {"/library": tmp_path / "library"}, masks=("/library/deep/hidden",))
    link_tree(masked, tmp_path / "root")
    assert (tmp_path / "root/library/deep/shown.py").is_file()
    assert list((tmp_path / "root/library/deep/hidden").iterdir()) == []
    assert [inside for inside, _ in visible(masked)] == ["/library/deep/shown.py"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_root_becomes_another_user_where_that_one_can_read(tmp_path: Path):
    shut = tmp_path / "problem"
    shut.write_text("x")
    shut.chmod(0o600)
    program = type(python_program(()))(("/python",), {"/usr/lib": Path("/usr/lib"), "/job/problem": shut})
    user, copies = _user(program, Path("/tmp/somewhere"))
    assert user
    assert copies == {shut}
    assert link_tree(program, _made(tmp_path / "root"), copies).argv == ("/python",)
    assert (tmp_path / "root/job/problem").read_text() == "x"
    closed = _made(tmp_path / "closed")
    closed.chmod(0o700)
    program.mounts["/closed"] = closed
    assert _user(program, Path("/tmp/somewhere")) == (None, frozenset())


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
