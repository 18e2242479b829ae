"""Query and path parameters that several routes take."""

from typing import Annotated

from fastapi import Path, Query

from aarlab.api.schemas import PAGE
from aarlab.api.text import MAX_ID

MAX_WAIT_SECONDS = 30.0

SubmissionId = Annotated[int, Path(ge=1, le=MAX_ID)]
StudyId = Annotated[str, Path(max_length=100)]
AuditName = Annotated[str, Path(max_length=100)]
StudyAfter = Annotated[str, Query(max_length=100, description="only those that were created after this one, by its id")]
After = Annotated[int, Query(ge=0, le=MAX_ID, description="only what has a larger id")]
Limit = Annotated[int, Query(ge=1, le=PAGE, description="how many at most")]
Wait = Annotated[
    float,
    Query(ge=0, le=MAX_WAIT_SECONDS, allow_inf_nan=False, description="seconds to hold the answer back until it ends"),
]
