"""An evaluation as the database keeps it: a score in JSON, and the arrays beside it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from aarlab.evaluation import Evaluation
from aarlab.server._models import EvaluationRow
from aarlab.stats import Diagnostics, PGREstimate


class Score(BaseModel):
    """All of an `Evaluation` but its arrays; its fields mean the same. Operator only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    testbed: str
    student: str
    split: str
    part: str
    seeds: tuple[int, ...]
    accuracy: tuple[float, ...]
    floor: float
    floor_se: float
    ceiling: float
    ceiling_se: float
    estimate: PGREstimate
    diagnostics: Diagnostics
    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    sandbox: str
    isolated: bool
    filtered: bool
    evidence: dict[str, int]

    @property
    def mean_accuracy(self) -> float:
        """Accuracy, mean over seeds."""
        return float(np.mean(self.accuracy))


def score_of(evaluation: Evaluation) -> Score:
    """The part of an evaluation that is kept as JSON."""
    return Score.model_validate({name: getattr(evaluation, name) for name in Score.model_fields})


def score_in(row: EvaluationRow | None) -> Score | None:
    """The score that a row holds, if any."""
    return None if row is None or row.score is None else Score.model_validate(row.score)


def correct_in(row: EvaluationRow) -> NDArray[np.float32]:
    """Whether each test example was right, shape (seeds, n); the row must hold a score."""
    assert row.correct is not None
    assert row.correct_dtype is not None
    assert row.correct_shape is not None
    return np.frombuffer(row.correct, dtype=row.correct_dtype).reshape(row.correct_shape)


def predictions_in(row: EvaluationRow) -> NDArray[np.float32]:
    """P(label = 1) of each test example, shape (seeds, n); the row must hold a score."""
    assert row.predictions is not None
    assert row.correct_shape is not None
    return np.frombuffer(row.predictions, dtype=np.float16).reshape(row.correct_shape).astype(np.float32)


def arrays_of(evaluation: Evaluation) -> dict[str, Any]:
    """Columns that hold an evaluation's arrays."""
    correct = evaluation.correct
    return {
        "correct": correct.tobytes(),
        "correct_dtype": correct.dtype.str,
        "correct_shape": list(correct.shape),
        "predictions": evaluation.predictions.astype(np.float16).tobytes(),
    }


def evaluation_in(row: EvaluationRow) -> Evaluation:
    """The evaluation that a row holds; probabilities as exact as float16 is."""
    score = score_in(row)
    assert score is not None
    told = {name: getattr(score, name) for name in Score.model_fields}
    return Evaluation(**told, correct=correct_in(row), predictions=predictions_in(row))
