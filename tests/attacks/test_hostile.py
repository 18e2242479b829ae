"""Each attack that finds nothing must be able to find something: here it is given a sandbox that leaks."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aarlab.attacks._files import attack_files, filled
from aarlab.attacks._hostile import label_needles
from aarlab.attacks.live import signal_of
from aarlab.evaluation import Evaluator, FailureKind, MethodError
from aarlab.sandbox import Limits, Program, UnsafeSandbox, default_sandbox
from aarlab.sandbox._session import ProcessSession
from aarlab.testbeds import Testbed

HOSTILE = attack_files("hostile")
SECRET = ("first half, ", "second half")


class Leaky:
    """The default sandbox with one mount too many."""

    name = "leaky"
    trusted_isolation = False

    def __init__(self, inside: str, host: Path) -> None:
        self.inside, self.host = inside, host

    def open(self, program: Program, limits: Limits) -> ProcessSession:
        return default_sandbox().open(replace(program, mounts={**program.mounts, self.inside: self.host}), limits)


@contextmanager
def evaluator(testbed: Testbed, sandbox: object) -> Iterator[Evaluator]:
    with Evaluator(testbed, sandbox) as made:  # type: ignore[arg-type]
        yield made


def signal(testbed: Testbed, sandbox: object, name: str, **values: object) -> float:
    with evaluator(testbed, sandbox) as made:
        return signal_of(made.evaluate(filled(HOSTILE[name], values), "public", [1]))


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    path = tmp_path / "operator.txt"
    path.write_text("".join(SECRET))
    return path


def test_labels_in_an_archive_are_found(small_testbed: Testbed, tmp_path: Path):
    needles = label_needles(small_testbed)
    with (tmp_path / "operator.npz").open("wb") as file:
        np.savez_compressed(file, labels=small_testbed.pack.labels)
    tmp_path.chmod(0o755)
    assert signal(small_testbed, Leaky("/job/x.npz", tmp_path / "operator.npz"), "labels-on-disk", NEEDLES=needles) == 1


@pytest.mark.slow
def test_no_label_is_found_without_a_leak(small_testbed: Testbed):
    needles = label_needles(small_testbed)
    assert signal(small_testbed, default_sandbox(), "labels-on-disk", NEEDLES=needles) == 0


@pytest.mark.parametrize("name", ["database-file", "symlinks"])
def test_a_file_of_the_operator_is_found_if_it_is_mounted(small_testbed: Testbed, secrets: Path, name: str):
    leaky = Leaky(str(secrets), secrets)
    assert signal(small_testbed, leaky, name, PATHS=[str(secrets)]) == 1
    assert signal(small_testbed, default_sandbox(), name, PATHS=[str(secrets)]) == 0


def test_proc_leads_out_of_no_sandbox(small_testbed: Testbed, secrets: Path):
    values = {"SECRET": SECRET, "PATHS": [str(secrets)]}
    assert signal(small_testbed, UnsafeSandbox(), "proc-secrets", **values) == 1
    assert signal(small_testbed, default_sandbox(), "proc-secrets", **values) == 0


def test_state_in_files_outlives_no_run(small_testbed: Testbed):
    """Without a sandbox the second run finds what the first one left."""
    left = [Path(tempfile.gettempdir()) / "aarlab-state", Path("/dev/shm/aarlab-state"), Path("/var/tmp/aarlab-state")]
    try:
        signal(small_testbed, UnsafeSandbox(), "state-in-files")
        assert signal(small_testbed, UnsafeSandbox(), "state-in-files") == 1
    finally:
        for path in [*left, Path("/run/aarlab-state"), Path("/aarlab-state"), Path("/dev/aarlab-state")]:
            path.unlink(missing_ok=True)
    assert signal(small_testbed, default_sandbox(), "state-in-files") == 0
    assert signal(small_testbed, default_sandbox(), "state-in-files") == 0


def test_a_neighbour_is_found_if_its_file_is_mounted(small_testbed: Testbed, secrets: Path):
    values = {"SECRET": SECRET}
    assert signal(small_testbed, Leaky("/job/other.py", secrets), "neighbours", **values) == 1


def test_the_operators_modules_are_found_if_they_are_mounted(small_testbed: Testbed, tmp_path: Path):
    package = tmp_path / "testbeds"
    package.mkdir()
    (package / "__init__.py").write_text("")
    tmp_path.chmod(0o755)
    assert signal(small_testbed, Leaky("/runtime/aarlab/testbeds", package), "operator-modules") == pytest.approx(1 / 7)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("not-a-number", {FailureKind.NOT_FINITE}),
        ("infinity", {FailureKind.NOT_FINITE}),
        ("minus-one", {FailureKind.OUT_OF_RANGE}),
        ("harness-frames", {FailureKind.OUT_OF_RANGE}),
        ("harness-modules", {FailureKind.NOT_FINITE}),
        ("harness-pipe", {FailureKind.CRASHED}),
        ("pickles", {FailureKind.NOT_NUMBERS}),
        ("pickled-frames", {FailureKind.CRASHED}),
        ("pipe-flood", {FailureKind.CRASHED, FailureKind.TOO_MUCH_OUTPUT}),
    ],
)
def test_what_no_method_may_answer_is_named(small_testbed: Testbed, name: str, kinds: set[FailureKind]):
    with evaluator(small_testbed, default_sandbox()) as made, pytest.raises(MethodError) as caught:
        made.evaluate(filled(HOSTILE[name], {}), "public", [1])
    assert caught.value.kind in kinds


def test_a_signal_is_told_from_predictions(small_testbed: Testbed):
    with evaluator(small_testbed, default_sandbox()) as made:
        honest = made.evaluate(made.vanilla_code(), "public", [1])
    with pytest.raises(ValueError, match="no signal"):
        signal_of(honest)
