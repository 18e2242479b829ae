"""An evaluator for each study, on splits that the study's own secret drew."""

import logging
import threading
from types import TracebackType
from typing import Self

from aarlab.audits.auditor import Auditor
from aarlab.sandbox import Sandbox
from aarlab.testbeds import PROBE, Testbed, load_testbed
from aarlab.testbeds.catalog import load_pack
from aarlab.testbeds.redraw import secret_draw

log = logging.getLogger(__name__)


class StudyEvaluators:
    """Makes the evaluator of a study when it is first asked for, and keeps it until closed.

    With the student `probe` the splits are drawn by the study's secret, and weak supervisor, floor and ceiling are
    made anew: seconds. Knowing the data set then does not tell which rows are scored. Any other student is too dear to
    calibrate for every study: it keeps the testbed's own draw, which is known to whoever has the pack.
    """

    def __init__(self, sandbox: Sandbox, student: str = PROBE, workers: int = 1) -> None:
        """Prepare.

        Args:
            sandbox: where methods run.
            student: what methods train; see `aarlab.testbeds.load_testbed`.
            workers: seeds run at the same time by each evaluation.
        """
        self._sandbox, self._student, self._workers = sandbox, student, workers
        self._made: dict[tuple[str, bytes], Auditor] = {}
        self._locks: dict[tuple[str, bytes], threading.Lock] = {}  # each study waits for its own calibration only
        self._all = threading.Lock()  # guards both

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self, testbed: str, secret: bytes) -> Auditor:
        """The evaluator of a study.

        Args:
            testbed: name of its testbed.
            secret: the study's.

        Raises:
            TestbedError: there is no such testbed, or no draw of it has a gap to recover.
        """
        key = (testbed, secret)
        with self._all:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if (made := self._made.get(key)) is None:
                log.info("drawing the splits of %s", testbed)
                drawn = study_testbed(testbed, secret, self._student)
                made = Auditor(drawn, self._sandbox, workers=self._workers)
                with self._all:
                    self._made[key] = made
            return made

    def close(self) -> None:
        """End what still runs."""
        with self._all:
            made = list(self._made.values())
        for evaluator in made:
            evaluator.close()


def study_testbed(name: str, secret: bytes, student: str = PROBE) -> Testbed:
    """The testbed of a study, as its secret draws it.

    Args:
        name: of the testbed.
        secret: the study's.
        student: what methods train.

    Raises:
        TestbedError: there is no such testbed, or no draw of it has a gap to recover.
    """
    if student != PROBE:
        return load_testbed(name, student)
    pack, texts = load_pack(name)
    return secret_draw(pack, secret, texts=texts)
