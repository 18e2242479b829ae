"""No label can be read in the sandbox: a walk over everything there is to read proves it."""

import json
from pathlib import Path

import numpy as np
import pytest

import aarlab
from aarlab.evaluation import Evaluator
from aarlab.sandbox import Limits, default_sandbox
from aarlab.testbeds import Testbed, packs_folder

# Reads needles, then every file that can be read, also inside archives, and tells where a needle was found.
WALK = """
import io, json, os, stat, struct, sys, zipfile, zlib
length, = struct.unpack('=Q', sys.stdin.buffer.read(8))
needles = [bytes.fromhex(n) for n in json.loads(sys.stdin.buffer.read(length))]
found, read = [], 0
def search(path, data):
    if any(n in data for n in needles):
        found.append(path)
    if data[:2] == b'PK':
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for name in archive.namelist():
                    search(path + '!' + name, archive.read(name))
        except zipfile.BadZipFile:
            pass
for folder, folders, files in os.walk('/'):
    folders[:] = [f for f in folders if os.path.join(folder, f) != '/sys']
    for name in files:
        path = os.path.join(folder, name)
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                continue
            with open(path, 'rb') as file:
                data = file.read(2**27)
        except OSError:
            continue
        if path.startswith('/proc/') and path.endswith('/mem'):
            continue
        read += 1
        search(path, data)
answer = json.dumps({'found': found, 'read': read}).encode()
sys.stdout.buffer.write(struct.pack('=Q', len(answer)) + answer)
sys.stdout.flush()
"""


def needles(testbed: Testbed) -> list[str]:
    """Labels in the forms in which a file might hold them."""
    forms = []
    for labels in (testbed.pack.labels, *(testbed.labels(split) for split in ("train", "public", "private"))):
        some = labels[:200]
        forms += [some.astype(kind).tobytes() for kind in (np.int8, np.int64, np.float32, np.float64)]
        forms += [np.packbits(some).tobytes(), "".join(map(str, some)).encode()]
    return [form.hex() for form in forms]


def walk(evaluator: Evaluator, method: Path, extra: dict[str, Path]) -> dict:
    program = evaluator.program(method, "-c", WALK)
    program.mounts.update(extra)
    text = json.dumps(needles(evaluator.testbed)).encode()
    with evaluator.sandbox.open(program, Limits(wall_seconds=600, memory_bytes=2 * 2**30)) as session:
        session.send(len(text).to_bytes(8, "little") + text)
        length = int.from_bytes(session.receive(8), "little")
        return json.loads(session.receive(length))


@pytest.fixture(scope="module")
def method(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("method") / "method.py"
    path.write_text("def fit(problem, seed): pass")
    return path


@pytest.mark.slow
def test_no_label_is_readable(chat: Testbed, method: Path):
    """One file with labels is planted, so that a walk that finds nothing else is known to have looked."""
    with Evaluator(chat, default_sandbox()) as evaluator:
        seen = walk(evaluator, method, {"/job/planted.npz": packs_folder() / "chat" / "operator.npz"})
    assert seen["read"] > 1000  # the walk went somewhere: Python, numpy, scipy, the job
    assert {path.partition("!")[0] for path in seen["found"]} == {"/job/planted.npz"}


def test_only_the_runtime_is_mounted(small_testbed: Testbed, method: Path):
    package = Path(aarlab.__file__).parent
    with Evaluator(small_testbed, default_sandbox()) as evaluator:
        mounted = {host for host in evaluator.program(method).mounts.values() if host.is_relative_to(package)}
    names = {host.relative_to(package).as_posix() for host in mounted}
    assert names == {"__init__.py", "errors.py", "harness", "students", "methods", "sandbox/_seccomp.py"}


def test_test_inputs_carry_no_question(small_testbed: Testbed):
    """Which inputs belong together is not told, so that answers cannot be matched across one question."""
    spy = """
def fit(problem, seed):
    def predict(examples):
        assert examples.groups is None
        return [0.5] * len(examples)
    return predict
"""
    with Evaluator(small_testbed, default_sandbox()) as evaluator:
        assert evaluator.evaluate(spy, "public", [3]).accuracy == (0.5,)
