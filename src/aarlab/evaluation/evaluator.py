"""Re-execute a submission in the sandbox and score what it predicts, outside."""

import tempfile
import threading
import time
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from aarlab.evaluation._pool import Pool, default_cores, warm_up
from aarlab.evaluation._result import Evaluation
from aarlab.evaluation._run import Answers, Job, job_mounts, run_seed, runtime_files
from aarlab.harness.job import write_problem
from aarlab.sandbox import Limits, Program, Sandbox, Session, Usage, python_program
from aarlab.stats import diagnose
from aarlab.students import Examples, Runtime, concatenate
from aarlab.testbeds import Anchors, Part, Split, Testbed, correctness

Floats = NDArray[np.float64]

BATCH = 256
CLOSE_SECONDS = 5.0  # for evaluations whose sandboxes were just killed
TRAIN_SAMPLE = 400  # train examples asked for the agreement with weak labels
# What a method may import besides aarlab.students; `*.libs` hold their shared libraries.
PACKAGES = (
    *("numpy", "numpy.libs", "scipy", "scipy.libs", "sklearn", "scikit_learn.libs"),
    *("joblib", "narwhals", "threadpoolctl"),
)
VANILLA = Path(__file__).parent.parent / "methods" / "vanilla.py"


class Evaluator:
    """Scores methods on one testbed. Operator zone: it holds the labels; the sandbox never does.

    What is protected: the method's process sees the unlabelled train examples, the weak labels, and
    test inputs batch by batch, each only after the one before was answered. Labels, questions of test
    inputs, other submissions, the network and the rest of the machine are not in its sandbox. What is
    not: a method may remember earlier batches of one seed, and may ignore teacher or student; audits
    look for that.
    """

    def __init__(
        self,
        testbed: Testbed,
        sandbox: Sandbox,
        *,
        workers: int = 1,
        limits: Limits | None = None,
        prewarm: bool = True,
    ) -> None:
        """Write the problem's files once, for all submissions.

        Args:
            testbed: what to score on.
            sandbox: where to run.
            workers: seeds run at the same time.
            limits: what one seed may use; default what the student needs.
            prewarm: make sandboxes ready ahead of the seeds to come.
        """
        self.testbed = testbed
        self.sandbox = sandbox
        self.workers = workers
        self.limits = limits or seed_limits(testbed.fitting.runtime)
        self._sessions: weakref.WeakSet[Session] = weakref.WeakSet()
        self._idle = threading.Condition()  # guards the two below
        self._running = 0
        self._closed = False
        self._folder = tempfile.TemporaryDirectory(prefix="aarlab-problem-")
        self._problem = Path(self._folder.name) / "problem.npz"
        write_problem(self._problem, testbed.problem())
        program = self.program(None, "-m", "aarlab.harness", "/job")
        self._pool = Pool(
            lambda: warm_up(lambda limits: self.open(program, limits), self.limits),
            cores=default_cores(),
            ahead=prewarm,
        )

    def __enter__(self) -> "Evaluator":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End evaluations that still run in other threads, and remove the problem's files."""
        with self._idle:
            self._closed = True
            for session in list(self._sessions):
                session.kill()
            self._idle.wait_for(lambda: self._running == 0, CLOSE_SECONDS)
        self._pool.close()
        self._folder.cleanup()

    def open(self, program: Program, limits: Limits) -> Session:
        """A session that `close` ends."""
        session = self.sandbox.open(program, limits)
        with self._idle:
            self._sessions.add(session)
            if self._closed:
                session.kill()
        return session

    @property
    def waiting(self) -> int:
        """Sandboxes that are ready and wait for a seed."""
        return len(self._pool)

    @property
    def testbed_name(self) -> str:
        """Name of the testbed."""
        return self.testbed.name

    def vanilla_code(self) -> str:
        """Code of the baseline that every gain is measured against."""
        return VANILLA.read_text(encoding="utf-8")

    def groups(self, split: Split, part: Part = "id") -> NDArray[np.int32]:
        """Question of each test example, shape (n,)."""
        return self.testbed.groups(split, part)

    def anchors(self, split: Split, part: Part = "id") -> Anchors:
        """Floor and ceiling, with standard errors by question."""
        return self.testbed.anchors(split, part)

    def evaluate(self, code: str, split: Split, seeds: Sequence[int], part: Part = "id") -> Evaluation:
        """Run a method with each seed in a sandbox of its own, and score it.

        Args:
            code: the method file.
            split: "public" or "private".
            seeds: training seeds; they also shuffle the batches.
            part: "id", or "ood" for the out-of-distribution part.

        Raises:
            MethodError: the method broke its contract with one of the seeds.
            SandboxError: the sandbox itself did not work.
        """
        started = time.monotonic()
        asked = self._asked(split, part)
        self._pool.expect(len(seeds))
        with self._counted(), ThreadPoolExecutor(max_workers=min(self.workers, len(seeds))) as pool:
            runs = list(pool.map(lambda seed: self._seed(code, asked, seed, shuffled(len(asked), seed)), seeds))
        predictions = np.stack([p for p, _ in runs])
        answers = [a for _, a in runs]
        return self._score(split, part, tuple(seeds), predictions, answers, time.monotonic() - started)

    def predict(
        self, code: str, examples: Examples, seed: int, batches: Sequence[NDArray[np.intp]]
    ) -> tuple[Floats, Usage]:
        """What a method predicts for some examples; no label is looked at.

        Args:
            code: the method file.
            examples: any of this testbed's, n of them.
            seed: training seed.
            batches: positions of the examples, batch by batch; each of the n once.

        Returns:
            P(label = 1), shape (n,), and what it cost.

        Raises:
            MethodError: the method broke its contract.
            SandboxError: the sandbox itself did not work.
        """
        self._pool.expect(1)
        with self._counted():
            predictions, answers = self._seed(code, replace(examples, groups=None), seed, batches)
            return predictions, answers.usage

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """An evaluation that `close` waits for."""
        with self._idle:
            self._running += 1
        try:
            yield
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def program(self, method: Path | None, *arguments: str) -> Program:
        """Python with these arguments, in a sandbox that holds all that a method may see and nothing else.

        Args:
            method: a file to show it as well; a real method comes through the pipe.
            arguments: of the interpreter.
        """
        runtime = self.testbed.fitting.runtime
        return python_program(
            arguments,
            packages=(*PACKAGES, *runtime.packages),
            mounts={**runtime_files(), **runtime.mounts, **job_mounts(self._problem, method)},
            devices=runtime.devices,
            path=("/runtime",),
            environment=dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), str(runtime.threads)),
        )

    def _seed(
        self, code: str, asked: Examples, seed: int, batches: Sequence[NDArray[np.intp]]
    ) -> tuple[Floats, Answers]:
        """Predictions of one seed in a sandbox of its own, in the order of `asked`; and all that came of it."""
        job = Job(code.encode(errors="replace"), seed, self.limits)
        answers = run_seed(self._pool, job, [asked.take(batch) for batch in batches])
        predictions = np.empty(len(asked))
        predictions[np.concatenate(batches)] = np.concatenate(answers.predictions)
        return predictions, answers

    def _asked(self, split: Split, part: Part) -> Examples:
        """Test inputs, swapped test inputs and a train sample, one after the other."""
        test = replace(self.testbed.examples(split, part), groups=None)
        train = replace(self.testbed.examples("train").take(self._train_sample()), groups=None)
        return concatenate([test, test.swapped(), train] if test.pairs else [test, train])

    def _train_sample(self) -> NDArray[np.intp]:
        count = len(self.testbed.rows("train"))
        return np.random.default_rng(0).permutation(count)[:TRAIN_SAMPLE]

    def _score(
        self,
        split: Split,
        part: Part,
        seeds: tuple[int, ...],
        predictions: Floats,
        answers: Sequence[Answers],
        wall: float,
    ) -> Evaluation:
        testbed, count = self.testbed, len(self.testbed.rows(split, part))
        test, swapped, rest = predictions[:, :count], None, predictions[:, count:]
        combined = test
        if testbed.pack.pairs:
            swapped, rest = rest[:, :count], rest[:, count:]
            combined = 0.5 + (test - swapped) / 2  # an exact tie stays one
        correct = correctness(combined, testbed.labels(split, part))
        weak = testbed.weak_labels[testbed.rows("train")][self._train_sample()]
        anchors = testbed.anchors(split, part)
        return Evaluation(
            testbed=testbed.name,
            student=testbed.student.name,
            split=split,
            part=part,
            seeds=seeds,
            accuracy=tuple(float(a) for a in correct.mean(axis=1)),
            floor=anchors.floor,
            floor_se=anchors.floor_se,
            ceiling=anchors.ceiling,
            ceiling_se=anchors.ceiling_se,
            estimate=None if anchors.ceiling is None else testbed.estimate(split, correct, part),
            diagnostics=diagnose(test, swapped, rest, weak),
            correct=correct,
            predictions=combined.astype(np.float32),
            wall_seconds=wall,
            cpu_seconds=sum(a.usage.cpu_seconds for a in answers),
            peak_memory_bytes=max(a.usage.peak_memory_bytes for a in answers),
            sandbox=self.sandbox.name,
            isolated=self.sandbox.trusted_isolation,
            filtered=all(a.filtered for a in answers),
            evidence=dict(sum((Counter(a.evidence) for a in answers), Counter())),
        )


def shuffled(count: int, seed: int, size: int = BATCH) -> list[NDArray[np.intp]]:
    """Positions 0 to `count` - 1 in random batches."""
    order = np.random.default_rng(seed).permutation(count)
    return [order[start : start + size] for start in range(0, count, size)]


def seed_limits(runtime: Runtime) -> Limits:
    """What one seed may use with a student that needs this."""
    return Limits(
        wall_seconds=runtime.seconds,
        cpu_seconds=runtime.seconds * runtime.threads,
        memory_bytes=runtime.memory_bytes,
        processes=runtime.processes,
    )


def default_workers() -> int:
    """Seeds or submissions to run at the same time on this machine."""
    return default_cores()
