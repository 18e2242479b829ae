"""An evaluation as the server keeps it: a score in JSON in the database, its arrays among the artifacts."""

import numpy as np
from pydantic import BaseModel, ConfigDict

from aarlab.evaluation import Evaluation
from aarlab.server._models import EvaluationRow
from aarlab.server.artifacts import Artifacts
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


def evaluation_in(row: EvaluationRow, artifacts: Artifacts) -> Evaluation:
    """The evaluation that a row holds; probabilities as exact as float16 is."""
    score = score_in(row)
    assert score is not None
    assert row.arrays is not None
    correct, predictions = artifacts.arrays(row.arrays)
    told = {name: getattr(score, name) for name in Score.model_fields}
    return Evaluation(**told, correct=correct, predictions=predictions)
