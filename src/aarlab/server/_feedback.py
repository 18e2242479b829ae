"""What researchers are told of a score: the guard's answer, given once, kept with the evaluation."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from aarlab.evaluation import Evaluation
from aarlab.evaluation.guards import Answer, Guard, Query, State, make_guard
from aarlab.server._locks import locked_study
from aarlab.server._models import EvaluationRow, StudyRow, SubmissionRow
from aarlab.server.artifacts import Artifacts


@dataclass(frozen=True)
class PublicSplit:
    """What the guard needs to know of the public split.

    Attributes:
        groups: question of each example, shape (n,).
        floor_correct: whether the weak supervisor is right, shape (n,).
    """

    groups: NDArray[np.int32]
    floor_correct: NDArray[np.float32]


def guard_of(study: StudyRow) -> Guard:
    """The leakage guard of a study."""
    return make_guard(study.guard, study.secret, step=study.guard_step, examples=study.examples)


def state_of(study: StudyRow) -> State:
    """What the guard remembers of a study."""
    return State() if study.guard_state is None else State.model_validate(study.guard_state)


def ask_guard(
    session: Session, row: EvaluationRow, result: Evaluation, public: PublicSplit, artifacts: Artifacts
) -> Answer:
    """The guard's answer to a new public score; what it remembers is kept in the same transaction.

    Args:
        session: one that writes.
        row: the evaluation that is about to be recorded.
        result: its score.
        public: the split.
        artifacts: where the best so far lies.
    """
    study = locked_study(session, row.submission.study_id)
    assert study is not None
    state = state_of(study)
    query = _query(row.submission.sha256, result.correct, result.predictions, public, study.floor)
    answer, state = guard_of(study).answer(query, state, _best(session, study, state, public, artifacts))
    study.guard_state = state.model_dump(mode="json")
    row.answer = asdict(answer)
    return answer


def _best(session: Session, study: StudyRow, state: State, public: PublicSplit, artifacts: Artifacts) -> Query | None:
    if state.best_hash is None:
        return None
    arrays = session.scalar(
        select(EvaluationRow.arrays)
        .join(EvaluationRow.submission)
        .where(SubmissionRow.study_id == study.id, SubmissionRow.sha256 == state.best_hash)
        .where(EvaluationRow.task == "public")
    )
    assert arrays is not None
    return _query(state.best_hash, *artifacts.arrays(arrays), public, study.floor)


def _query(
    sha256: str, correct: NDArray[np.float32], predictions: NDArray[np.float32], public: PublicSplit, floor: float
) -> Query:
    return Query(
        correct=correct,
        groups=public.groups,
        floor=floor,
        floor_correct=public.floor_correct,
        content_hash=sha256,
        predictions=predictions.astype(np.float16).astype(np.float32),  # as they are kept
    )
