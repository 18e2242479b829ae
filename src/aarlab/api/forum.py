"""The forum beyond posts themselves (`api/schemas.py`): what has changed since one looked."""

from typing import Annotated, TypedDict

from pydantic import Field, StringConstraints

from aarlab.api.schemas import FindingKind, Schema

MAX_QUERY_CHARACTERS = 300

#: How many findings may be asked for by id at once.
MAX_IDS = 100

#: How many changed findings one answer names at most.
MAX_CHANGED = 5_000

Words = Annotated[str, StringConstraints(max_length=MAX_QUERY_CHARACTERS)]


class Changed(Schema):
    """Findings whose votes or figure changed after they were posted.

    Attributes:
        upto: pass this as `after` next time.
        findings: their ids, ascending; the text of a finding never changes.
    """

    upto: Annotated[int, Field(ge=0)]
    findings: tuple[int, ...]


class Which(TypedDict, total=False):
    """Which findings to list.

    Attributes:
        kind, tag: what they have.
        researcher: who wrote them, by name.
        parent: the finding that they reply to.
        id: these, at most `MAX_IDS`.
    """

    kind: FindingKind
    tag: str
    researcher: str
    parent: int
    id: list[int]
